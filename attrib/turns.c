// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "turns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX (1u << 16) /* events, or counts */

/* A list that grows; its elements are of one size. */
struct list {
	char *at;
	size_t size, n, room;
};

struct turns {
	struct list events; /* struct owner_event, in order */
	struct list counts; /* struct turned */
};

int turns__open(struct turns **out)
{
	struct turns *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->events.size = sizeof(struct owner_event);
	t->counts.size = sizeof(struct turned);
	*out = t;
	return 0;
}

void turns__close(struct turns *t)
{
	if (!t)
		return;
	free(t->events.at);
	free(t->counts.at);
	free(t);
}

static int list__put(struct list *l, const void *element)
{
	size_t room = l->room ? l->room * 2 : 64;
	char *more;

	if (l->n == l->room) {
		more = room <= WAITING_MAX ? realloc(l->at, room * l->size) : NULL;
		if (!more)
			return -ENOMEM;
		l->at = more;
		l->room = room;
	}
	memcpy(l->at + l->n++ * l->size, element, l->size);
	return 0;
}

static struct owner_event *event(const struct turns *t, size_t i)
{
	return (struct owner_event *)t->events.at + i;
}

static struct turned *turned(const struct turns *t, size_t i)
{
	return (struct turned *)t->counts.at + i;
}

static bool waits_for_another(const struct turns *t, uint64_t cookie)
{
	size_t i;

	for (i = 0; i < t->events.n; i++)
		if (event(t, i)->cookie == cookie)
			return true;
	return false;
}

/* Without memory the change comes too early: the former owner loses what was counted since the last harvest. */
bool turns__take(struct turns *t, const struct owner_event *e)
{
	if (!e->cookie || (!e->turn && !waits_for_another(t, e->cookie)))
		return false;
	return !list__put(&t->events, e);
}

bool turns__wait(const struct turns *t)
{
	return t->events.n;
}

int turns__count(struct turns *t, const struct turned *c)
{
	return list__put(&t->counts, c);
}

/* Was this counted after that change, and before the next one? */
static bool follows(const struct turned *c, const struct owner_event *e)
{
	return e->turn && c->turn == e->turn && c->key.sport == e->key.sport &&
	       c->key.dport == e->key.dport && c->key.proto == e->key.proto &&
	       !memcmp(c->key.daddr, e->key.daddr, sizeof(c->key.daddr)) &&
	       !memcmp(c->key.saddr, e->key.saddr, sizeof(c->key.saddr));
}

static bool is_early(const struct turns *t, const struct turned *c)
{
	size_t i;

	for (i = 0; i < t->events.n; i++)
		if (follows(c, event(t, i)))
			return true;
	return false;
}

/* Hands on the counts that follow this change; without one, those that follow none which is still to come. */
static void hand_on(struct turns *t, const struct owner_event *e, const struct turns_out *out)
{
	size_t i, kept = 0;

	for (i = 0; i < t->counts.n; i++) {
		const struct turned *c = turned(t, i);

		if (e ? follows(c, e) : !is_early(t, c))
			out->count(out->to, c);
		else
			*turned(t, kept++) = *c;
	}
	t->counts.n = kept;
}

/* An event that waits for an earlier one of its socket has no time to wait for of its own. */
static bool is_due(const struct turns *t, size_t i, uint64_t begun)
{
	size_t k;

	if (event(t, i)->turn && event(t, i)->time >= begun)
		return false;
	for (k = 0; k < i; k++)
		if (event(t, k)->cookie == event(t, i)->cookie)
			return false;
	return true;
}

/* Those that are not due are moved to the front, so all before i go on waiting. */
void turns__settle(struct turns *t, uint64_t begun, const struct turns_out *out)
{
	size_t i, kept = 0;

	hand_on(t, NULL, out);
	for (i = 0; i < t->events.n; i++) {
		struct owner_event e = *event(t, i);

		*event(t, kept) = e;
		if (!is_due(t, kept, begun)) {
			kept++;
			continue;
		}
		out->event(out->to, &e);
		hand_on(t, &e, out);
	}
	t->events.n = kept;
}
