// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const view_by_names[VIEW_BY_N + 1] = {
	"process", "flow", "user", "container", "port", NULL,
};

const char *const view_sort_names[VIEW_SORT_N + 1] = {
	"bytes", "rx-packets", "rx-bytes", "tx-packets", "tx-bytes", "flows", NULL,
};

#define TEXT_MAX 256 /* of an executable's path or a container's name, as shown */

/* What makes two records the same row. Compared as bytes; by container, the row's container is part of it. */
struct row_key {
	struct flow_key flow;
	uint64_t start;
	uint32_t pid;
	uint32_t uid;
	uint64_t named; /* 0: nobody known */
};
_Static_assert(sizeof(struct row_key) == 64, "row_key: no holes");

/* What the interval under way has counted so far. */
struct fresh {
	struct count received, sent;
	unsigned flows;
	enum owner_how how;
};

struct row {
	struct view_row shown;
	struct fresh fresh;
	struct row_key key;
	struct row *next; /* in the bucket */
	char *container, *unit, *exe, *args, *user;
	char raw[16]; /* comm as it came */
	char comm[16 * 4 + 1];
};

struct group {
	struct row **row;
	struct row **bucket;
	size_t n, room; /* `room` rows and as many buckets: a power of two */
	struct row others;
};

struct view {
	struct group group[VIEW_BY_N];
	struct view_sum shown, fresh;
	const struct view_row **sorted;
	size_t sorted_room;
	uint64_t ended;
};

/* ---- rows by key ---- */

static uint64_t hash(const struct row_key *key, const char *container)
{
	uint64_t word[sizeof(*key) / 8], h = 0;

	memcpy(word, key, sizeof(word));
	for (size_t i = 0; i < sizeof(word) / sizeof(*word); i++) {
		h = (h ^ word[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	for (; container && *container; container++)
		h = (h ^ (unsigned char)*container) * 0x100000001b3ULL;
	return h ^ h >> 32;
}

static bool row__is(const struct row *r, const struct row_key *key, const char *container)
{
	if (memcmp(&r->key, key, sizeof(*key)))
		return false;
	return !container || (r->container && !strcmp(r->container, container));
}

static void row__free(struct row *r)
{
	if (!r)
		return;
	free(r->container);
	free(r->unit);
	free(r->exe);
	free(r->args);
	free(r->user);
	free(r);
}

static struct row *group__find(const struct group *g, const struct row_key *key,
			       const char *container)
{
	struct row *r = g->room ? g->bucket[hash(key, container) & (g->room - 1)] : NULL;

	while (r && !row__is(r, key, container))
		r = r->next;
	return r;
}

static void group__rehash(struct group *g, enum view_by by)
{
	memset(g->bucket, 0, g->room * sizeof(*g->bucket));
	for (size_t i = 0; i < g->n; i++) {
		struct row *r = g->row[i];
		uint64_t h = hash(&r->key, by == VIEW_CONTAINER ? r->container : NULL);

		r->next = g->bucket[h & (g->room - 1)];
		g->bucket[h & (g->room - 1)] = r;
	}
}

static int group__grow(struct group *g, enum view_by by)
{
	size_t room = g->room ? 2 * g->room : 64;
	struct row **row, **bucket;

	if (room > VIEW_ROWS_MAX)
		return -ENOSPC;
	row = realloc(g->row, room * sizeof(*row));
	if (!row)
		return -ENOMEM;
	g->row = row;
	bucket = realloc(g->bucket, room * sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	g->bucket = bucket;
	g->room = room;
	group__rehash(g, by);
	return 0;
}

static struct row *group__add(struct group *g, enum view_by by, const struct row_key *key,
			      const char *container)
{
	struct row *r;
	uint64_t h = hash(key, by == VIEW_CONTAINER ? container : NULL);

	if (g->n == g->room && group__grow(g, by))
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r && container)
		r->container = strdup(container);
	if (!r || (container && !r->container)) {
		row__free(r);
		return NULL;
	}
	r->key = *key;
	r->next = g->bucket[h & (g->room - 1)];
	g->bucket[h & (g->room - 1)] = r;
	g->row[g->n++] = r;
	return r;
}

/* ---- what a row is called ---- */

/* The port that was asked for. */
static uint16_t service_port(const struct flow_view *f)
{
	return flow_view__source_opened(f) ? f->key->dport : f->key->sport;
}

static struct row_key row_key__of(const struct flow_record *r, enum view_by by)
{
	const struct who *who = r->flow->who;
	struct row_key key = { .named = who != NULL };

	if (by == VIEW_PORT) {
		key.named = 1;
		key.flow.proto = r->flow->key->proto;
		key.flow.dport = service_port(r->flow);
		return key;
	}
	if (by == VIEW_FLOW)
		key.flow = *r->flow->key;
	if (who && (by == VIEW_FLOW || by == VIEW_PROCESS)) {
		key.pid = who->pid;
		key.start = who->start;
	}
	if (who && by == VIEW_USER)
		key.uid = who->uid;
	return key;
}

static char *text__copy(const char *text)
{
	char clean[TEXT_MAX];

	view__clean(text, strlen(text), clean, sizeof(clean));
	return strdup(clean);
}

/* Without memory the text is missing, and the row still counts. */
static void row__describe_user(struct row *row, const struct flow_record *r)
{
	char number[16];

	if (row->user)
		return;
	snprintf(number, sizeof(number), "%u", r->flow->who->uid);
	row->user = text__copy(r->process && r->process->user ? r->process->user : number);
	row->shown.user = row->user;
}

/* Arguments one after the other, as far as there is room. */
static char *args__copy(const struct process *p)
{
	char *line = malloc(p->args_size), *text;
	size_t i;

	if (!line)
		return NULL;
	memcpy(line, p->args, p->args_size);
	for (i = 0; i + 1 < p->args_size; i++)
		line[i] = line[i] ? line[i] : ' ';
	line[p->args_size - 1] = '\0';
	text = text__copy(line);
	free(line);
	return text;
}

static void row__describe_place(struct row *row, const struct process *p)
{
	const char *unit = p->placement.user_unit ? p->placement.user_unit : p->placement.unit;

	if (!row->unit && unit)
		row->unit = text__copy(unit);
	if (!row->args && p->args_size)
		row->args = args__copy(p);
	row->shown.unit = row->unit;
	row->shown.args = row->args;
}

/* The name changes while the process stays the same, and with an exec the executable. */
static void row__describe_process(struct row *row, const struct flow_record *r)
{
	const struct who *who = r->process ? &r->process->who : r->flow->who;

	if (!row->shown.comm || memcmp(row->raw, who->comm, sizeof(row->raw))) {
		memcpy(row->raw, who->comm, sizeof(row->raw));
		view__clean(who->comm, sizeof(who->comm), row->comm, sizeof(row->comm));
		free(row->exe);
		free(row->args);
		row->exe = row->args = NULL;
	}
	if (!row->exe && r->process && r->process->exe)
		row->exe = text__copy(r->process->exe);
	if (r->process)
		row__describe_place(row, r->process);
	row->shown.comm = row->comm;
	row->shown.exe = row->exe;
	row->shown.pid = who->pid;
}

static void row__describe(struct row *row, const struct flow_record *r, enum view_by by)
{
	const struct who *who = r->flow->who;

	row->shown.key = row->key.flow;
	row->shown.opener = r->flow->opener;
	if (by == VIEW_PORT)
		return;
	if (!who) {
		row->shown.name = by == VIEW_FLOW ? NULL : "(not named)";
		return;
	}
	row->shown.container = row->container;
	row->shown.uid = who->uid;
	if (by == VIEW_FLOW || by == VIEW_PROCESS)
		row__describe_process(row, r);
	if (by != VIEW_CONTAINER)
		row__describe_user(row, r);
}

/* ---- counting ---- */

static void count__add_to(struct count *sum, const struct count *n)
{
	sum->packets += n->packets;
	sum->bytes += n->bytes;
}

static enum owner_how weaker(enum owner_how a, enum owner_how b)
{
	if (a == OWNER_NONE || b == OWNER_NONE)
		return OWNER_NONE;
	return a > b ? a : b;
}

/* A process receives what it is sent, on whichever side of the interface it stands. */
static bool is_turned(const struct flow_view *flow, enum view_by by)
{
	return flow->far && by != VIEW_FLOW && by != VIEW_PORT;
}

static void fresh__add(struct fresh *f, const struct flow_view *flow, enum view_by by)
{
	enum owner_how how = flow->who ? flow->how : OWNER_NONE;
	bool turned = is_turned(flow, by);

	f->how = f->flows ? weaker(f->how, how) : how;
	f->flows++;
	count__add_to(&f->received, turned ? &flow->sent : &flow->received);
	count__add_to(&f->sent, turned ? &flow->received : &flow->sent);
}

static void group__count(struct group *g, enum view_by by, const struct flow_record *r)
{
	const struct process *p = r->process;
	struct row_key key = row_key__of(r, by);
	char container[TEXT_MAX] = "";
	bool has = (by == VIEW_CONTAINER || by == VIEW_PROCESS) && r->flow->who && p &&
		   p->container;
	struct row *row;

	if (has)
		view__clean(p->container, strlen(p->container), container, sizeof(container));
	row = group__find(g, &key, by == VIEW_CONTAINER ? container : NULL);
	if (!row)
		row = group__add(g, by, &key, by == VIEW_CONTAINER || has ? container : NULL);
	if (row)
		row__describe(row, r, by);
	fresh__add(row ? &row->fresh : &g->others.fresh, r->flow, by);
}

/*
 * What another interface counted too is shown there by flow, and counts once in everything else; but what passes between
 * two owners here is each one's.
 */
static bool is_counted_by(const struct flow_view *flow, enum view_by by)
{
	if (by == VIEW_FLOW || !flow->repeated)
		return true;
	return flow->repeated == REPEATED_PEER && by != VIEW_PORT;
}

void view__add(struct view *v, const struct flow_record *r)
{
	const struct flow_view *f = r->flow;

	for (int by = 0; by < VIEW_BY_N; by++)
		if (is_counted_by(f, by))
			group__count(&v->group[by], by, r);
	if (f->repeated)
		return;
	v->fresh.flows++;
	count__add_to(&v->fresh.received, &f->received);
	count__add_to(&v->fresh.sent, &f->sent);
	if (f->who)
		return;
	count__add_to(&v->fresh.unnamed, &f->received);
	count__add_to(&v->fresh.unnamed, &f->sent);
}

/* ---- the end of an interval ---- */

static void row__end_interval(struct row *r)
{
	r->shown.received = r->fresh.received;
	r->shown.sent = r->fresh.sent;
	r->shown.flows = r->fresh.flows;
	r->shown.how = r->fresh.how;
	count__add_to(&r->shown.all_received, &r->fresh.received);
	count__add_to(&r->shown.all_sent, &r->fresh.sent);
	r->fresh = (struct fresh){ 0 };
}

/* A grouping more than half full lets go of the rows that counted nothing. */
static void group__end_interval(struct group *g, enum view_by by)
{
	bool crowded = g->n > VIEW_ROWS_MAX / 2;
	size_t kept = 0;

	for (size_t i = 0; i < g->n; i++) {
		row__end_interval(g->row[i]);
		if (crowded && !g->row[i]->shown.flows)
			row__free(g->row[i]);
		else
			g->row[kept++] = g->row[i];
	}
	row__end_interval(&g->others);
	if (kept == g->n)
		return;
	g->n = kept;
	group__rehash(g, by);
}

void view__end_interval(struct view *v, uint64_t now)
{
	for (int by = 0; by < VIEW_BY_N; by++)
		group__end_interval(&v->group[by], by);
	v->shown = v->fresh;
	v->shown.seconds = v->ended && now > v->ended ? (double)(now - v->ended) / 1e9 : 0;
	v->fresh = (struct view_sum){ 0 };
	v->ended = now;
}

/* ---- sorted rows ---- */

static uint64_t row__weight(const struct view_row *r, enum view_sort sort)
{
	switch (sort) {
	case VIEW_SORT_RX_PACKETS:
		return r->received.packets;
	case VIEW_SORT_RX_BYTES:
		return r->received.bytes;
	case VIEW_SORT_TX_PACKETS:
		return r->sent.packets;
	case VIEW_SORT_TX_BYTES:
		return r->sent.bytes;
	case VIEW_SORT_FLOWS:
		return r->flows;
	default:
		return r->received.bytes + r->sent.bytes;
	}
}

/* Equal rows keep one order from draw to draw: by what they counted in all, then by who they are. */
static int compare(const void *left, const void *right, void *sort)
{
	const struct view_row *a = *(const struct view_row *const *)left;
	const struct view_row *b = *(const struct view_row *const *)right;
	uint64_t x = row__weight(a, *(enum view_sort *)sort);
	uint64_t y = row__weight(b, *(enum view_sort *)sort);

	if (x == y) {
		x = a->all_received.bytes + a->all_sent.bytes;
		y = b->all_received.bytes + b->all_sent.bytes;
	}
	if (x != y)
		return x > y ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	return memcmp(&a->key, &b->key, sizeof(a->key));
}

size_t view__rows(struct view *v, enum view_by by, enum view_sort sort,
		  const struct view_row *const **rows)
{
	const struct group *g = &v->group[by];
	size_t n = 0;

	*rows = NULL;
	if (g->n + 1 > v->sorted_room) {
		const struct view_row **more = realloc(v->sorted, (g->n + 1) * sizeof(*more));

		if (!more)
			return 0;
		v->sorted = more;
		v->sorted_room = g->n + 1;
	}
	for (size_t i = 0; i < g->n; i++)
		if (g->row[i]->shown.flows)
			v->sorted[n++] = &g->row[i]->shown;
	if (g->others.shown.flows)
		v->sorted[n++] = &g->others.shown;
	qsort_r(v->sorted, n, sizeof(*v->sorted), compare, &sort);
	*rows = v->sorted;
	return n;
}

const struct view_sum *view__sum(const struct view *v)
{
	return &v->shown;
}

double view_sum__unnamed(const struct view_sum *s)
{
	uint64_t all = s->received.packets + s->sent.packets;

	return all ? (double)s->unnamed.packets / (double)all : 0;
}

/* ---- open, close ---- */

int view__open(struct view **out)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (int by = 0; by < VIEW_BY_N; by++)
		v->group[by].others.shown.name = "(others)";
	*out = v;
	return 0;
}

void view__close(struct view *v)
{
	if (!v)
		return;
	for (int by = 0; by < VIEW_BY_N; by++) {
		for (size_t i = 0; i < v->group[by].n; i++)
			row__free(v->group[by].row[i]);
		free(v->group[by].row);
		free(v->group[by].bucket);
	}
	free(v->sorted);
	free(v);
}
