// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "owner.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <time.h>
#include "attrib/egress.h"
#include "attrib/join.h"
#include "attrib/namespaces.h"
#include "attrib/nat.h"
#include "attrib/owners.h"
#include "xdp/harvest.h"
#include "xdp/link.h"
#include "xdp/parse.h"
#include "xdp/say.h"

#define NS 1000000000ull
#define CLOSED_AFTER \
	(CAPTURE_OWNER_HOLD_MS * 5 * 1000000ull) /* a closed socket's packets have been asked for */
#define CLOSED_MAX 65536                         /* a power of two */
#define FLOWS_MAX (1u << 18)
#define PASSED_KEPT \
	(10 * NS) /* so late an answer may come; later than that the flow is announced anew */
#define SENT_BUDGET (16ull << 20) /* count tables of what is sent */
#define SENT_OVERFLOW 4096
#define FORGET_AFTER (60 * NS)
#define NAT_QUESTIONS 1000 /* between two looks at the events: a flood of new flows asks no more */

struct capture_owner {
	const char *const *ifname;
	unsigned links;
	uint64_t netns;
	struct owners *owners;
	struct egress *egress; /* NULL: not needed so far */
	bool no_egress;        /* it cannot be had */
	struct join *join;
	struct process_table *processes;
	struct namespaces *namespaces;
	struct nat *nat;
	unsigned questions;
	struct owner_event *closed; /* OWNER_GONE that wait: a ring */
	uint32_t closed_first, closed_next;
	uint64_t now, ticked; /* CLOCK_MONOTONIC */
	uint64_t lost;
	bool doubt; /* events were lost, and the sockets not asked again yet: nobody is named */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

/* ---- events ---- */

static void close_first(struct capture_owner *o)
{
	join__owner(o->join, &o->closed[o->closed_first++ % CLOSED_MAX]);
}

/* Packets that came before the end of their socket are still on their way to us. */
static void close_later(struct capture_owner *o, const struct owner_event *e)
{
	if (o->closed_next - o->closed_first == CLOSED_MAX)
		close_first(o);
	o->closed[o->closed_next++ % CLOSED_MAX] = *e;
}

/* The egress program knows of no other namespace than ours. */
static void take_passed(struct capture_owner *o, const struct owner_event *e)
{
	struct owner_event own = *e;

	own.netns = o->netns;
	own.key.link = 0;
	join__owner(o->join, &own);
}

static void on_event(void *to, const struct owner_event *e)
{
	struct capture_owner *o = to;

	if (e->netns)
		namespaces__saw(o->namespaces, e->netns);
	process_table__event(o->processes, e);
	if (e->kind == OWNER_GONE) {
		close_later(o, e);
	} else if (e->kind == OWNER_PASSED) {
		take_passed(o, e);
	} else if (e->kind != OWNER_TIE) { /* what is received goes by the sockets' addresses */
		join__owner(o->join, e);
		if (e->turn) /* nothing is counted here */
			owners__turned(o->owners, e);
	}
}

static void close_sockets(struct capture_owner *o)
{
	while (o->closed_first != o->closed_next &&
	       o->closed[o->closed_first % CLOSED_MAX].time + CLOSED_AFTER < o->now)
		close_first(o);
}

/* Nobody asks for sums here; a flow that was reported can be forgotten. */
static void ignore(void *to, const struct flow_view *view)
{
	(void)to, (void)view;
}

/* What was lost is in the sockets themselves. */
static void make_good(struct capture_owner *o)
{
	uint64_t lost = owners__lost(o->owners);

	if (lost == o->lost)
		return;
	o->lost = lost;
	join__snapshot_begins(o->join);
	if (owners__snapshot(o->owners))
		return;
	join__snapshot_ends(o->join);
	o->doubt = false;
}

static void note_losses(struct capture_owner *o)
{
	if (owners__lost(o->owners) == o->lost)
		return;
	o->doubt = true;
	join__doubt(o->join);
}

/* ---- equal addresses behind several doors ---- */

static int watch_sent(struct capture_owner *o)
{
	const struct egress_opts opts = { .size = { .slots = harvest__slots_for(SENT_BUDGET, 1),
						    .overflow = SENT_OVERFLOW },
					  .owners = o->owners };
	struct link_facts facts;
	int err = egress__open(&o->egress, &opts);
	unsigned i;

	for (i = 0; i < o->links && !err; i++) {
		err = link__facts(o->ifname[i], &facts);
		if (!err)
			err = egress__add(o->egress, o->ifname[i], i, facts.raw);
	}
	return err;
}

/*
 * Several namespaces behind us hold the same address. Whose an answer is then tells only the way that the flow went out:
 * the egress program announces it.
 */
static void watch_doors(struct capture_owner *o)
{
	const uint32_t *door;
	size_t doors;

	if (o->no_egress || (!o->egress && !join__is_ambiguous(o->join)))
		return;
	door = namespaces__doors(o->namespaces, &doors);
	owners__set_doors(o->owners, door, doors);
	if (o->egress || !watch_sent(o))
		return;
	say(SAY_NOTE, "what comes for containers that have the same address is nobody's");
	egress__close(o->egress);
	o->egress = NULL;
	o->no_egress = true;
}

static void renew_namespaces(struct capture_owner *o)
{
	if (namespaces__renew(o->namespaces, o->now, o->join))
		watch_doors(o);
}

/* Nobody asks what was sent: but a slot that was read is free for another flow. */
static void ignore_sent(void *to, const struct harvested *h)
{
	(void)to, (void)h;
}

void capture_owner__read(struct capture_owner *o)
{
	note_losses(o);
	owners__read(o->owners);
	o->now = now_ns();
	o->questions = 0;
	close_sockets(o);
	renew_namespaces(o);
	if (o->now - o->ticked < NS)
		return;
	o->ticked = o->now;
	make_good(o);
	if (o->egress)
		harvest__run(egress__harvest(o->egress), ignore_sent, NULL);
	join__report(o->join, o->now, ignore, NULL);
	owners__expire_turns(o->owners);
	owners__end_kernels(o->owners);
	join__tick(o->join, o->now);
	process_table__tick(o->processes, o->now);
}

int capture_owner__fd(const struct capture_owner *o)
{
	return owners__fd(o->owners);
}

uint64_t capture_owner__lost(const struct capture_owner *o)
{
	return owners__lost(o->owners);
}

/* ---- packets ---- */

static int ask_nat(void *to, const struct flow_key *key, struct flow_key *near,
		   struct flow_key *far)
{
	struct capture_owner *o = to;

	return o->questions++ < NAT_QUESTIONS ? nat__ask(o->nat, key, near, far) : -EAGAIN;
}

static enum reason parse(const struct captured *c, struct parsed *p)
{
	const __u8 *end = c->data + c->caplen;

	return c->raw ? parse__raw(c->data, end, c->link, p)
		      : parse__frame(c->data, end, -1, c->link, p);
}

const struct process *capture_owner__of(struct capture_owner *o, const struct captured *c,
					enum owner_how *how)
{
	const struct count n = { .packets = 1, .bytes = c->length };
	uint32_t handle = HANDLE_NONE;
	const struct who *who;
	struct flow_key key;
	struct parsed p;

	*how = OWNER_NONE;
	if (parse(c, &p) != REASON_FLOW)
		return NULL;
	key = flow_key__reversed(&p.flow.key);
	/* The flow keeps its owner when the socket is gone. Without memory for it the sockets alone answer. */
	join__add(o->join, &key, 1, &n, p.marks, o->now, &handle);
	if (o->questions < NAT_QUESTIONS)
		join__ask_nat(o->join, ask_nat, o);
	if (o->doubt)
		return NULL;
	who = join__who(o->join, &key, how);
	return who ? process_table__now(o->processes, who) : NULL;
}

/* ---- making ---- */

static int open_parts(struct capture_owner *o)
{
	const struct join_opts join = { .live = true,
					.forget_after = FORGET_AFTER,
					.flows_max = FLOWS_MAX,
					.nat = true,
					.keep_ties = PASSED_KEPT };
	int err = process_table__open(&o->processes);

	o->closed = calloc(CLOSED_MAX, sizeof(*o->closed));
	if (!err)
		err = o->closed ? join__open(&o->join, &join) : -ENOMEM;
	if (!err)
		err = nat__open(&o->nat);
	return err ? fail(err, NULL, "make the table of owners") : 0;
}

static void set_links(struct capture_owner *o)
{
	unsigned i;

	for (i = 0; i < o->links; i++) {
		join__set_netns(o->join, i, o->netns);
		join__set_ifindex(o->join, i, if_nametoindex(o->ifname[i]));
	}
	namespaces__renew(o->namespaces, o->now, o->join);
}

int capture_owner__open(struct capture_owner **out, const char *const *ifname, unsigned links)
{
	struct capture_owner *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return fail(-ENOMEM, NULL, "make the table of owners");
	o->ifname = ifname;
	o->links = links;
	o->netns = link__netns();
	o->now = o->ticked = now_ns();
	err = open_parts(o);
	if (!err)
		err = namespaces__open(&o->namespaces, o->netns);
	if (!err)
		set_links(o);
	if (!err)
		err = owners__open(&o->owners, 0, on_event, o);
	if (!err) {
		watch_doors(o);
		err = owners__snapshot(o->owners);
	}
	if (err) {
		capture_owner__close(o);
		return err;
	}
	*out = o;
	return 0;
}

void capture_owner__close(struct capture_owner *o)
{
	if (!o)
		return;
	egress__close(o->egress);
	owners__close(o->owners);
	join__close(o->join);
	process_table__close(o->processes);
	namespaces__close(o->namespaces);
	nat__close(o->nat);
	free(o->closed);
	free(o);
}
