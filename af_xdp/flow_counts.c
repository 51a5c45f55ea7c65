// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "flow_counts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "xdp/parse.h"

#define SLOTS_LEAST 1024
#define WAITING 64

/* A cache line. No packets: the slot is free. */
struct slot {
	union flow_words flow;
	struct count count;
	uint64_t unused;
};
_Static_assert(sizeof(struct slot) == 64, "slot: one cache line");

struct shown {
	union flow_words flow;
	uint64_t hash;
	uint32_t length;
};

struct flow_counts {
	struct slot *slot; /* at most half of them are taken */
	uint64_t mask;
	uint64_t seed[5]; /* random and odd: nobody outside can choose flows that collide */
	uint32_t flows, most;
	uint16_t link;
	bool raw;
	unsigned waiting;
	struct shown shown[WAITING];
	struct flow_sums sums;
};

/* ---- the table ---- */

static uint64_t hash(const struct flow_counts *f, const union flow_words *w)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < 5; i++)
		sum += w->word[i] * f->seed[i];
	return ((sum ^ (sum >> 32)) * f->seed[0]) >> 32;
}

static bool is(const struct slot *s, const union flow_words *w)
{
	return !memcmp(&s->flow, w, sizeof(*w));
}

/* Its slot, or the free one where it belongs. */
static struct slot *find(const struct flow_counts *f, const union flow_words *w, uint64_t h)
{
	uint64_t at = h & f->mask;

	while (f->slot[at].count.packets && !is(&f->slot[at], w))
		at = (at + 1) & f->mask;
	return &f->slot[at];
}

static int make(struct slot **out, uint64_t slots)
{
	struct slot *slot = aligned_alloc(sizeof(*slot), slots * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	memset(slot, 0, slots * sizeof(*slot));
	*out = slot;
	return 0;
}

/* Without memory for more it goes on with what it has. */
static void grow(struct flow_counts *f)
{
	uint64_t slots = f->mask + 1, i;
	struct slot *old = f->slot;

	if (make(&f->slot, 2 * slots))
		return;
	f->mask = 2 * slots - 1;
	for (i = 0; i < slots; i++)
		if (old[i].count.packets)
			*find(f, &old[i].flow, hash(f, &old[i].flow)) = old[i];
	free(old);
}

static bool has_room(struct flow_counts *f)
{
	if (f->flows == f->most)
		return false;
	if (f->flows > f->mask / 2)
		grow(f);
	return f->flows <= f->mask / 2;
}

static void add(struct count *to, uint32_t length)
{
	to->packets++;
	to->bytes += length;
}

static void count(struct flow_counts *f, const struct shown *s)
{
	struct slot *slot = find(f, &s->flow, s->hash);

	if (!slot->count.packets) {
		if (!has_room(f)) {
			add(&f->sums.no_room, s->length);
			return;
		}
		slot = find(f, &s->flow, s->hash);
		slot->flow = s->flow;
		f->flows++;
	}
	add(&slot->count, s->length);
}

/* ---- frames ---- */

void flow_counts__settle(struct flow_counts *f)
{
	unsigned i;

	for (i = 0; i < f->waiting; i++)
		count(f, &f->shown[i]);
	f->waiting = 0;
}

void flow_counts__show(struct flow_counts *f, const uint8_t *data, uint32_t caplen, uint32_t length)
{
	struct shown *s = &f->shown[f->waiting];
	struct parsed p;
	enum reason why = f->raw ? parse__raw(data, data + caplen, f->link, &p)
				 : parse__frame(data, data + caplen, -1, f->link, &p);

	if (why != REASON_FLOW) {
		add(&f->sums.reason[why], length);
		return;
	}
	*s = (struct shown){ .flow = p.flow, .hash = hash(f, &p.flow), .length = length };
	__builtin_prefetch(&f->slot[s->hash & f->mask], 1);
	if (++f->waiting == WAITING)
		flow_counts__settle(f);
}

/* ---- sums ---- */

void flow_counts__add_up(const struct flow_counts *f, struct flow_sums *sums)
{
	uint64_t i;

	sums->flows += f->flows;
	for (i = 0; i <= f->mask; i++) {
		sums->in_flows.packets += f->slot[i].count.packets;
		sums->in_flows.bytes += f->slot[i].count.bytes;
	}
	for (i = 0; i < REASON_N; i++) {
		sums->reason[i].packets += f->sums.reason[i].packets;
		sums->reason[i].bytes += f->sums.reason[i].bytes;
	}
	sums->no_room.packets += f->sums.no_room.packets;
	sums->no_room.bytes += f->sums.no_room.bytes;
}

struct count flow_counts__of(const struct flow_counts *f, const struct flow_key *key)
{
	union flow_words w = { .key = *key };

	return find(f, &w, hash(f, &w))->count;
}

/* ---- open and close ---- */

/* A seed that anybody knows would be none. So few bytes come whole, or not at all. */
static int choose_seed(struct flow_counts *f)
{
	int i;

	if (getrandom(f->seed, sizeof(f->seed), 0) < 0)
		return -errno;
	for (i = 0; i < 5; i++)
		f->seed[i] |= 1;
	return 0;
}

int flow_counts__open(struct flow_counts **out, uint32_t most, uint16_t link, bool raw)
{
	struct flow_counts *f = calloc(1, sizeof(*f));
	int err = f ? make(&f->slot, SLOTS_LEAST) : -ENOMEM;

	if (!err)
		err = choose_seed(f);
	if (err) {
		flow_counts__close(f);
		return err;
	}
	f->mask = SLOTS_LEAST - 1;
	f->most = most;
	f->link = link;
	f->raw = raw;
	*out = f;
	return 0;
}

void flow_counts__close(struct flow_counts *f)
{
	if (!f)
		return;
	free(f->slot);
	free(f);
}
