// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pipeline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "attrib/egress.h"
#include "attrib/namespaces.h"
#include "attrib/nat.h"
#include "attrib/owners.h"
#include "attrib/turns.h"
#include "monitor.h"
#include "stack.h"
#include "xdp/link.h"
#include "xdp/meter.h"
#include "xdp/say.h"

#define BUDGET (64ull << 20)   /* count tables of the whole host */
#define OVERFLOW_RECORDS 16384 /* a CPU and direction */
#define HARVEST_MS 1000
#define PRESSURE_MS 100 /* how often a filling overflow ring is looked for */
/*
 * A report is of what was counted so long before, because whose a packet is shows when it is read: who has just been given
 * a socket may be waiting for a CPU, with a packet of his in its queue.
 */
#define RIPE_MS 200
#define RIPE_INTERVAL_MS 1000 /* shorter intervals have no time for that */
#define FORGET_NS (60ull * 1000000000)
#define FLOWS_MAX (1u << 21) /* remembered: a flood of forged addresses ends there */
#define RENEW_SHARE \
	20 /* between two snapshots after lost events: so many times as long as one takes */
#define OUTPUTS_MAX 8
#define WATCHES_MAX 8

struct watch {
	int fd;
	pipeline_fn fn;
	void *to;
};

/* An interface as the person named it, whatever became of it since. */
struct watched {
	char asked[IF_NAMESIZE]; /* by this name it is looked for when it is made again */
	struct link_state now;
	unsigned queues;               /* for receiving; 0: not looked at yet */
	struct driver_watch driver[2]; /* received, sent */
	char attach[32];
};

struct pipeline {
	struct pipeline_opts opts;
	struct meter *meter;
	struct egress *egress;
	struct owners *owners; /* NULL: nobody asks for them */
	struct join *join;
	struct turns *turns;
	struct namespaces *namespaces;
	struct nat *nat;
	struct run_facts facts;
	struct output *output[OUTPUTS_MAX];
	unsigned outputs;
	struct watch watch[WATCHES_MAX];
	unsigned watches;
	int epoll, signals, timer;
	struct ledger ledger;
	struct ledger_line line[LINKS_MAX * 2];
	struct tally *cpu; /* of all lines: see ledger_line.cpu */
	struct monitor *monitor;
	struct watched link[LINKS_MAX];
	const char *name[LINKS_MAX];                          /* present names */
	uint64_t start, harvested, reported, reported_before; /* monotonic ns */
	uint64_t ripening; /* since when what the next report is of has been waiting for it */
	uint64_t intervals;
	uint64_t clock_offset;
	uint64_t netns; /* cookie */
	uint64_t owners_lost, renewed, renewing;
	bool stop, restacked;
	int error;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- from the tables and the sockets into the join ---- */

struct harvest_run {
	struct pipeline *p;
	uint64_t now;
	int dir; /* 0: sent by this host, 1: received */
};

static void on_harvested(void *to, const struct harvested *h)
{
	struct harvest_run *run = to;
	struct flow_key key = run->dir ? flow_key__reversed(h->key) : *h->key;
	struct pipeline *p = run->p;
	struct turned apart = { .turn = key.link >> TURN_SHIFT };

	if (apart.turn) {
		key.link &= (1 << TURN_SHIFT) - 1;
		apart = (struct turned){ key, h->count, apart.turn, run->dir, h->marks };
		if (turns__count(p->turns, &apart))
			p->ledger.join_failed_packets += h->count.packets;
		return;
	}
	if (join__add(p->join, &key, run->dir, &h->count, h->marks, run->now, h->handle))
		p->ledger.join_failed_packets += h->count.packets;
}

static void on_owner(void *to, const struct owner_event *e)
{
	struct pipeline *p = to;
	struct owner_event own = *e;

	if (own.kind == OWNER_TIE || own.kind == OWNER_PASSED) {
		own.netns = p->netns;
		own.key.link = 0;
	}
	if (own.netns)
		namespaces__saw(p->namespaces, own.netns);
	process_table__event(p->facts.processes, &own);
	if (turns__take(p->turns, &own)) {
		join__saw(p->join, &own);
		return;
	}
	join__owner(p->join, &own);
	if (own.turn)
		owners__turned(p->owners, &own);
}

static void on_turned_count(void *to, const struct turned *c)
{
	struct harvest_run *run = to;
	uint32_t handle = HANDLE_NONE;

	if (join__add(run->p->join, &c->key, c->dir, &c->count, c->marks, run->now, &handle))
		run->p->ledger.join_failed_packets += c->count.packets;
}

static void on_turned_event(void *to, const struct owner_event *e)
{
	struct harvest_run *run = to;

	join__owner(run->p->join, e);
	if (e->turn)
		owners__turned(run->p->owners, e);
}

/* What was counted apart, and the changes of hands from before `begun`. */
static void settle(struct pipeline *p, uint64_t now, uint64_t begun)
{
	struct harvest_run run = { .p = p, .now = now };
	struct turns_out out = { on_turned_count, on_turned_event, &run };

	turns__settle(p->turns, begun, &out);
}

/* Everything older than us, and how long that took: no packet is counted before. */
static int first_snapshot(struct pipeline *p)
{
	struct snapshots *s = &p->ledger.snapshots;
	uint64_t begun = now_ns();
	int err = owners__snapshot(p->owners);
	struct join_stats known;

	if (err)
		return err;
	join__stats(p->join, &known);
	*s = (struct snapshots){
		.taken = 1,
		.sockets = known.sockets,
		.owners = known.owners,
		.ns = now_ns() - begun,
	};
	say(SAY_DETAIL, "%zu open sockets have their %zu owners' names after %.3f s", known.sockets,
	    known.owners, (double)s->ns / 1e9);
	return 0;
}

/*
 * Events were lost: the sockets are asked anew, and what is not among them is closed. Before that is done nothing that
 * was counted meanwhile is handed on.
 */
static void renew_owners(struct pipeline *p, bool must)
{
	uint64_t lost = owners__lost(p->owners), now = now_ns();

	if (lost == p->owners_lost || (!must && now - p->renewed < RENEW_SHARE * p->renewing))
		return;
	join__doubt(p->join);
	say(SAY_NOTE, "%llu owner events found their ring full: asking all sockets again",
	    (unsigned long long)(lost - p->owners_lost));
	p->owners_lost = lost;
	join__snapshot_begins(p->join);
	if (!owners__snapshot(p->owners)) {
		p->ledger.snapshots.taken++;
		join__snapshot_ends(p->join);
	}
	p->renewed = now_ns();
	p->renewing = p->renewed - now;
}

static void read_owners(struct pipeline *p)
{
	if (!p->owners)
		return;
	if (owners__lost(p->owners) != p->owners_lost)
		join__doubt(p->join);
	owners__read(p->owners);
}

/* Which other namespaces can be meant by what passes through here. */
static void renew_namespaces(struct pipeline *p, uint64_t now)
{
	const uint32_t *door;
	size_t doors;

	if (!p->namespaces || !namespaces__renew(p->namespaces, now, p->join))
		return;
	door = namespaces__doors(p->namespaces, &doors);
	owners__set_doors(p->owners, door, doors);
}

static int ask_nat(void *to, const struct flow_key *key, struct flow_key *near,
		   struct flow_key *far)
{
	return nat__ask(to, key, near, far);
}

static int harvest(struct pipeline *p, uint64_t now)
{
	struct harvest_run sent = { .p = p, .now = now, .dir = 0 };
	struct harvest_run received = { .p = p, .now = now, .dir = 1 };
	uint64_t begun = now_ns();
	int err = harvest__run(egress__harvest(p->egress), on_harvested, &sent);

	if (!err)
		err = harvest__run(meter__harvest(p->meter), on_harvested, &received);
	join__counted(p->join, now_ns());
	read_owners(p);
	settle(p, now, begun);
	if (p->owners) {
		owners__expire_turns(p->owners);
		owners__end_kernels(p->owners);
		renew_owners(p, false);
		join__ask_nat(p->join, ask_nat, p->nat);
	}
	p->harvested = now;
	return err;
}

/* ---- from the join to the outputs ---- */

/*
 * What a harvest found was counted since the harvest before it. The first harvest of a record is known; the one before
 * was a second earlier at most, and not before the previous report.
 */
static uint64_t record_start(const struct pipeline *p, const struct flow_view *flow)
{
	uint64_t before = flow->start - HARVEST_MS * 1000000ull;

	return before > p->reported_before ? before : p->reported_before;
}

static void on_flow(void *to, const struct flow_view *flow)
{
	struct pipeline *p = to;
	struct count *sum = &p->ledger.by_how[flow->how];
	struct flow_record r = {
		.flow = flow,
		.now = p->reported + p->clock_offset,
		.start = record_start(p, flow) + p->clock_offset,
		.end = flow->end + p->clock_offset,
		.process = flow->who ? process_table__now(p->facts.processes, flow->who) : NULL,
		.peer = flow->peer ? process_table__now(p->facts.processes, flow->peer) : NULL,
	};
	unsigned i;
	int err;

	sum->packets += flow->sent.packets + flow->received.packets;
	sum->bytes += flow->sent.bytes + flow->received.bytes;
	for (i = 0; i < p->outputs; i++) {
		err = p->output[i]->kind->flow(p->output[i], &r);
		if (err && !p->error)
			p->error = err;
	}
}

/* Which interface stands on which. */
static void restack(struct pipeline *p)
{
	struct stack_place place[LINKS_MAX];
	uint32_t ifindex[LINKS_MAX];
	unsigned i, n = p->opts.links;

	for (i = 0; i < n; i++)
		ifindex[i] = p->link[i].now.ifindex;
	if (p->restacked || n < 2 || stack__find(ifindex, n, place))
		return;
	for (i = 0; i < n; i++)
		join__set_level(p->join, i, place[i].level, place[i].bond);
	p->restacked = true;
}

static void report(struct pipeline *p, uint64_t now)
{
	unsigned i;
	int err;

	restack(p);
	if (p->owners)
		renew_owners(p, true);
	p->clock_offset = clock_ns(CLOCK_REALTIME) - now_ns();
	p->reported_before = p->reported;
	p->reported = now;
	join__report(p->join, now, on_flow, p);
	for (i = 0; i < p->outputs; i++) {
		err = p->output[i]->kind->flush ? p->output[i]->kind->flush(p->output[i]) : 0;
		if (err && !p->error)
			p->error = err;
	}
	join__tick(p->join, now);
	process_table__tick(p->facts.processes, now);
	p->intervals++;
}

/* The driver's counters as they are now; a name that means another interface by now is left alone. */
static void see_driver(struct watched *w, void (*see)(struct driver_watch *, const struct count *))
{
	struct link_state now;

	if (w->now.gone || monitor__ask(w->now.name, &now) || now.ifindex != w->now.ifindex)
		return;
	see(&w->driver[0], &now.received);
	see(&w->driver[1], &now.sent);
}

static void fill_line(struct pipeline *p, unsigned link, bool sent)
{
	struct harvest *h = sent ? egress__harvest(p->egress) : meter__harvest(p->meter);
	struct ledger_line *l = &p->line[link * 2 + sent];
	int cpu;

	*l = (struct ledger_line){
		.ifname = p->name[link],
		.direction = sent ? "transmit" : "receive",
		.attach = sent ? "" : p->link[link].attach,
		.has_driver = true,
		.driver = driver_watch__range(&p->link[link].driver[sent]),
	};
	l->cpus = harvest__cpus(h);
	l->cpu = &p->cpu[(link * 2 + sent) * l->cpus];
	harvest__tally(h, link, -1, &l->tally);
	for (cpu = 0; cpu < l->cpus; cpu++)
		harvest__tally(h, link, cpu, &l->cpu[cpu]);
}

const struct ledger *pipeline__ledger(struct pipeline *p)
{
	unsigned i;

	for (i = 0; i < p->opts.links; i++) {
		fill_line(p, i, false);
		fill_line(p, i, true);
	}
	p->ledger.line = p->line;
	p->ledger.lines = p->opts.links * 2;
	p->ledger.now = clock_ns(CLOCK_REALTIME);
	p->ledger.start = p->start + p->clock_offset;
	p->ledger.end = p->ledger.now;
	p->ledger.owner_events_lost = p->owners ? owners__lost(p->owners) : 0;
	return &p->ledger;
}

const struct run_facts *pipeline__facts(const struct pipeline *p)
{
	return &p->facts;
}

/* ---- making and taking down ---- */

/* Who is who: processes, sockets, the flows they are joined with. */
static int open_knowing(struct pipeline *p)
{
	struct join_opts join = { .live = true,
				  .forget_after = FORGET_NS,
				  .flows_max = FLOWS_MAX,
				  .nat = !p->opts.no_owners };
	int err = process_table__open(&p->facts.processes);

	if (!err && p->opts.args)
		process_table__read_args(p->facts.processes);
	if (!err)
		err = join__open(&p->join, &join);
	if (!err)
		err = turns__open(&p->turns);
	if (err || p->opts.no_owners)
		return err;
	err = namespaces__open(&p->namespaces, p->netns);
	if (!err)
		err = nat__open(&p->nat);
	return err ? err : owners__open(&p->owners, 0, on_owner, p);
}

/* What counts, both ways. */
static int open_counting(struct pipeline *p)
{
	const struct harvest_size size = { .slots = p->opts.flows ? p->opts.flows
								  : harvest__slots_for(BUDGET, 2),
					   .overflow = OVERFLOW_RECORDS,
					   .hash = p->opts.hash };
	const struct meter_opts meter = { .mode = p->opts.mode,
					  .chain = p->opts.chain,
					  .size = size,
					  .match = p->opts.match,
					  .match_counts = p->opts.match != NULL,
					  .lend = p->owners ? owners__lend_turns : NULL,
					  .lend_to = p->owners };
	const struct egress_opts egress = { .size = size,
					    .match = p->opts.match,
					    .match_counts = p->opts.match != NULL,
					    .owners = p->owners };
	int err = egress__open(&p->egress, &egress);

	if (!err)
		err = meter__open(&p->meter, &meter);
	if (err)
		return err;
	p->cpu = calloc((size_t)p->opts.links * 2 * harvest__cpus(meter__harvest(p->meter)),
			sizeof(*p->cpu));
	return p->cpu ? 0 : -ENOMEM;
}

/* One line: what is watched and how, and what that takes. */
static void say_start(const struct pipeline *p)
{
	uint64_t bytes = harvest__memory(meter__harvest(p->meter)) +
			 harvest__memory(egress__harvest(p->egress));
	char names[512] = "";
	unsigned i;
	size_t n = 0;

	for (i = 0; i < p->opts.links && n < sizeof(names) - 64; i++)
		n += snprintf(names + n, sizeof(names) - n, "%s%s (%s%s)", i ? ", " : "",
			      p->name[i], p->opts.mode == RECEIVE_TC ? "" : "XDP ",
			      p->link[i].attach);
	say(SAY_NOTE,
	    "watching %s; room for %u IPv4 and %u IPv6 flows a CPU and direction: %llu MiB", names,
	    harvest__slots(meter__harvest(p->meter), 4),
	    harvest__slots(meter__harvest(p->meter), 6),
	    (unsigned long long)(bytes + (1 << 19)) >> 20);
}

static bool is_costly(const struct pipeline *p, unsigned link)
{
	struct link_facts f;

	return meter__attachment(p->meter, link)->mode == RECEIVE_NATIVE &&
	       !link__facts(p->name[link], &f) && !strcmp(f.driver, VETH_DRIVER);
}

/* One line, of however many interfaces. */
static void say_cost(const struct pipeline *p)
{
	unsigned i, first = 0, n = 0;
	char more[32] = "";

	for (i = p->opts.links; i-- > 0;)
		if (is_costly(p, i)) {
			first = i;
			n++;
		}
	if (n > 1)
		snprintf(more, sizeof(more), " and %u more", n - 1);
	if (n)
		say(SAY_NOTE, "%s%s: on a veth native XDP %s; --mode tc does not", p->name[first],
		    more, VETH_COST);
}

static void note_attachment(struct pipeline *p, unsigned link)
{
	const struct attachment *a = meter__attachment(p->meter, link);

	snprintf(p->link[link].attach, sizeof(p->link[link].attach), "%s, %s",
		 receive_mode__name(a->mode), attach_how__name(a->how));
}

static int attach_egress(struct pipeline *p, unsigned link)
{
	struct link_facts f;
	int err = link__facts(p->name[link], &f);

	return err ? err : egress__add(p->egress, p->name[link], link, f.raw);
}

/* Attached: from here on the driver's counters are compared with ours. */
static int begin_link(struct pipeline *p, unsigned link, const struct link_state *before)
{
	struct watched *w = &p->link[link];
	int err = monitor__ask(p->name[link], &w->now);

	if (err)
		return fail(err, NULL, "read the counters of %s", p->name[link]);
	driver_watch__begin(&w->driver[0], &before->received, &w->now.received);
	driver_watch__begin(&w->driver[1], &before->sent, &w->now.sent);
	w->queues = 0;
	note_attachment(p, link);
	join__set_ifindex(p->join, link, w->now.ifindex);
	return 0;
}

static int attach_link(struct pipeline *p, unsigned link)
{
	struct link_state before;
	int err = monitor__ask(p->name[link], &before);

	if (!err)
		err = attach_egress(p, link);
	if (!err)
		err = meter__attach(p->meter, link);
	return err ? err : begin_link(p, link, &before);
}

/* The kernel takes no XDP program on an interface when another that stands on it has one. */
static void lowest_first(const struct pipeline *p, unsigned *order)
{
	struct stack_place place[LINKS_MAX] = {};
	uint32_t ifindex[LINKS_MAX];

	for (unsigned i = 0; i < p->opts.links; i++)
		ifindex[i] = if_nametoindex(p->opts.ifname[i]);
	stack__find(ifindex, p->opts.links, place);
	stack__order(place, p->opts.links, order);
}

/* The owners are known before the first packet is counted. */
static int attach_all(struct pipeline *p)
{
	unsigned order[LINKS_MAX], i;
	int err = 0;

	renew_namespaces(p, now_ns());
	for (i = 0; i < p->opts.links && !err; i++) {
		join__set_netns(p->join, i, p->netns);
		err = meter__add(p->meter, p->opts.ifname[i]);
		err = err < 0 ? err : 0;
	}
	if (!err && p->owners)
		err = first_snapshot(p);
	lowest_first(p, order);
	p->start = now_ns(); /* the first one counts while the last one is still to be attached */
	for (i = 0; i < p->opts.links && !err; i++)
		err = attach_link(p, order[i]);
	return err;
}

static int watch_signals(struct pipeline *p)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signals < 0 ? -errno : 0;
}

static int watch_timer(struct pipeline *p)
{
	struct itimerspec every = { .it_value = { .tv_nsec = PRESSURE_MS * 1000000 },
				    .it_interval = { .tv_nsec = PRESSURE_MS * 1000000 } };

	p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->timer < 0 || timerfd_settime(p->timer, 0, &every, NULL))
		return -errno;
	return 0;
}

/* ---- interfaces come and go ---- */

static void link_gone(struct pipeline *p, unsigned link, const struct link_state *last)
{
	struct watched *w = &p->link[link];

	say(SAY_NOTE,
	    "%s was deleted or moved away: its counts are kept, and it is watched again when it comes back",
	    w->now.name);
	driver_watch__see(&w->driver[0], &last->received);
	driver_watch__see(&w->driver[1], &last->sent);
	driver_watch__gone(&w->driver[0]);
	driver_watch__gone(&w->driver[1]);
	w->now.gone = true;
}

static void link_back(struct pipeline *p, unsigned link)
{
	struct watched *w = &p->link[link];
	struct link_state now;

	if (monitor__ask(w->asked, &now) || !now.up || !now.carrier)
		return;
	snprintf(w->now.name, sizeof(w->now.name), "%s", w->asked);
	if (meter__renew(p->meter, link, w->asked) || attach_egress(p, link) ||
	    begin_link(p, link, &now)) {
		w->now.gone = true;
		return;
	}
	say(SAY_NOTE, "%s is back: watching it again", w->asked);
}

static void link_changed(struct pipeline *p, unsigned link, const struct link_state *s)
{
	struct link_state *was = &p->link[link].now;

	if (strcmp(was->name, s->name))
		say(SAY_NOTE, "%s is called %s now", was->name, s->name);
	if (was->up != s->up || was->carrier != s->carrier)
		say(SAY_NOTE, "%s is %s", s->name,
		    !s->up       ? "down: nothing is counted until it is up again"
		    : s->carrier ? "up"
				 : "without carrier");
	if (was->mtu != s->mtu)
		say(SAY_NOTE, "%s has an MTU of %u now (was %u)", s->name, s->mtu, was->mtu);
	*was = *s;
	driver_watch__see(&p->link[link].driver[0], &s->received);
	driver_watch__see(&p->link[link].driver[1], &s->sent);
}

/* The kernel tells nobody that an interface has another number of queues (ethtool -L): so it is looked at. */
static void look_at_queues(struct pipeline *p)
{
	struct link_facts f;
	unsigned i;

	for (i = 0; i < p->opts.links; i++) {
		struct watched *w = &p->link[i];

		if (w->now.gone || link__facts(w->now.name, &f) || f.ifindex != w->now.ifindex)
			continue;
		if (w->queues && w->queues != f.queues)
			say(SAY_NOTE, "%s has %u receive queue%s now (was %u)", w->now.name,
			    f.queues, f.queues == 1 ? "" : "s", w->queues);
		w->queues = f.queues;
	}
}

static void on_link(void *to, const struct link_state *s)
{
	struct pipeline *p = to;
	unsigned i;

	p->restacked = false;
	for (i = 0; i < p->opts.links; i++) {
		struct watched *w = &p->link[i];

		if (w->now.gone && !s->gone && !strcmp(w->asked, s->name))
			link_back(p, i);
		else if (!w->now.gone && s->ifindex == w->now.ifindex && s->gone)
			link_gone(p, i, s);
		else if (!w->now.gone && s->ifindex == w->now.ifindex)
			link_changed(p, i, s);
	}
}

static int on_monitor(void *to)
{
	struct pipeline *p = to;

	return monitor__read(p->monitor);
}

/* ---- the event loop ---- */

static int on_signal(void *to)
{
	struct signalfd_siginfo info;
	struct pipeline *p = to;

	while (read(p->signals, &info, sizeof(info)) == sizeof(info))
		p->stop = true;
	return 0;
}

void pipeline__stop(struct pipeline *p)
{
	p->stop = true;
}

bool pipeline__stopping(const struct pipeline *p)
{
	return p->stop;
}

static int on_owners(void *to)
{
	read_owners(to);
	return 0;
}

static bool is_due(const struct pipeline *p, uint64_t now)
{
	uint64_t period = p->opts.interval_ms < HARVEST_MS ? p->opts.interval_ms : HARVEST_MS;

	return now - p->harvested >= period * 1000000 - PRESSURE_MS * 500000 ||
	       harvest__urgent(meter__harvest(p->meter)) ||
	       harvest__urgent(egress__harvest(p->egress));
}

static uint64_t ripe_ns(const struct pipeline *p)
{
	return p->owners && p->opts.interval_ms >= RIPE_INTERVAL_MS ? RIPE_MS * 1000000ull : 0;
}

/* The timer's tick may be a little early. */
static bool has_passed(uint64_t now, uint64_t since, uint64_t ns)
{
	return now + PRESSURE_MS * 500000 >= since + ns;
}

/* The next report needs a harvest: there was none yet, or a change of hands waits for another. */
static bool must_ripen(const struct pipeline *p, uint64_t now)
{
	uint64_t young = p->opts.interval_ms * 1000000 - ripe_ns(p);

	return has_passed(now, p->reported, young) &&
	       (!has_passed(p->ripening, p->reported, young) || turns__wait(p->turns));
}

/* Where sockets change hands all the time, it ends at some time. */
static bool may_report(const struct pipeline *p, uint64_t now)
{
	uint64_t interval = p->opts.interval_ms * 1000000, ripe = ripe_ns(p);

	return has_passed(now, p->reported, interval) &&
	       (has_passed(now, p->ripening, ripe) ||
		has_passed(now, p->reported, interval + 2 * ripe));
}

static int on_timer(void *to)
{
	struct pipeline *p = to;
	uint64_t expirations, now = now_ns();
	int err = 0;

	if (read(p->timer, &expirations, sizeof(expirations)) < 0)
		return 0;
	read_owners(p);
	renew_namespaces(p, now);
	if (must_ripen(p, now))
		p->ripening = now;
	if (p->ripening == now || is_due(p, now)) {
		err = harvest(p, now);
		look_at_queues(p);
	}
	if (may_report(p, now))
		report(p, now);
	if (p->opts.count && p->intervals >= p->opts.count)
		p->stop = true;
	return err;
}

static int open_loop(struct pipeline *p)
{
	int err;

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		return -errno;
	err = watch_signals(p);
	if (!err)
		err = watch_timer(p);
	if (!err)
		err = pipeline__watch(p, p->signals, on_signal, p);
	if (!err)
		err = pipeline__watch(p, p->timer, on_timer, p);
	if (!err && p->owners)
		err = pipeline__watch(p, owners__fd(p->owners), on_owners, p);
	if (!err)
		err = monitor__open(&p->monitor, on_link, p);
	if (!err)
		err = pipeline__watch(p, monitor__fd(p->monitor), on_monitor, p);
	return err;
}

int pipeline__watch(struct pipeline *p, int fd, pipeline_fn fn, void *to)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = p->watches };

	if (p->watches == WATCHES_MAX)
		return -E2BIG;
	p->watch[p->watches++] = (struct watch){ .fd = fd, .fn = fn, .to = to };
	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int loop_once(struct pipeline *p)
{
	struct epoll_event ready[WATCHES_MAX];
	int i, err = 0, n = epoll_wait(p->epoll, ready, WATCHES_MAX, -1);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (i = 0; i < n && !err; i++) {
		struct watch *w = &p->watch[ready[i].data.u32];

		err = w->fn(w->to);
	}
	return err;
}

/* Nothing counts any more when this returns; what was counted is in the outputs. */
static void finish(struct pipeline *p)
{
	unsigned i;

	for (i = 0; i < p->opts.links; i++)
		see_driver(&p->link[i], driver_watch__see);
	egress__detach(p->egress);
	meter__detach(p->meter);
	for (i = 0; i < p->opts.links; i++)
		see_driver(&p->link[i], driver_watch__end);
	read_owners(p);
	if (!harvest(p, now_ns()))
		harvest(p, now_ns());
	settle(p, now_ns(), UINT64_MAX);
	report(p, now_ns());
}

static void close_outputs(struct pipeline *p)
{
	const struct ledger *ledger = pipeline__ledger(p);
	unsigned i;
	int err;

	for (i = 0; i < p->outputs; i++) {
		err = p->output[i]->kind->ledger(p->output[i], ledger);
		if (err && !p->error)
			p->error = err;
		err = p->output[i]->kind->close(p->output[i]);
		if (err && !p->error)
			p->error = err;
	}
	p->outputs = 0;
}

int pipeline__run(struct pipeline *p)
{
	int err = 0;

	while (!p->stop && !p->error && !err)
		err = loop_once(p);
	finish(p);
	close_outputs(p);
	return p->error ? p->error : err < 0 ? err : 0;
}

int pipeline__take(struct pipeline *p, struct output *output)
{
	if (p->outputs == OUTPUTS_MAX)
		return -E2BIG;
	p->output[p->outputs++] = output;
	return 0;
}

static void name_links(struct pipeline *p)
{
	unsigned i;

	for (i = 0; i < p->opts.links; i++) {
		struct watched *w = &p->link[i];

		snprintf(w->asked, sizeof(w->asked), "%s", p->opts.ifname[i]);
		snprintf(w->now.name, sizeof(w->now.name), "%s", p->opts.ifname[i]);
		p->name[i] = w->now.name;
	}
}

int pipeline__open(struct pipeline **out, const struct pipeline_opts *opts)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->opts = *opts;
	p->epoll = p->signals = p->timer = -1;
	p->facts = (struct run_facts){ .ifname = p->name, .links = opts->links, .live = true };
	name_links(p);
	p->netns = link__netns();
	err = open_knowing(p);
	if (!err)
		err = open_counting(p);
	if (!err)
		err = open_loop(p);
	if (!err)
		err = attach_all(p);
	if (err) {
		pipeline__close(p);
		return err;
	}
	say_cost(p);
	say_start(p);
	p->harvested = p->reported = now_ns();
	p->clock_offset = clock_ns(CLOCK_REALTIME) - p->reported;
	*out = p;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void pipeline__close(struct pipeline *p)
{
	if (!p)
		return;
	if (p->outputs)
		close_outputs(p);
	egress__close(p->egress);
	meter__close(p->meter);
	owners__close(p->owners);
	namespaces__close(p->namespaces);
	nat__close(p->nat);
	monitor__close(p->monitor);
	join__close(p->join);
	turns__close(p->turns);
	process_table__close(p->facts.processes);
	close_fd(p->timer);
	close_fd(p->signals);
	close_fd(p->epoll);
	free(p->cpu);
	free(p);
}
