// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "af_xdp/copier.h"
#include "af_xdp/reinject.h"
#include "busy_poll.h"
#include "xdp/link.h"
#include "xdp/meter.h"
#include "xdp/say.h"

#define FLOWS (1u << 18) /* that each thread of a tap counts, at most */
#define LOOK_MS 1000
#define LINK_HEADER 22 /* Ethernet and two VLAN tags */
#define SLICE_USUAL 2048
#define SLICE_MOST (64u << 10)
#define RING_LEAST (1u << 20)
#define RING_MOST (16u << 20)
#define RING_RECORDS 2048 /* a CPU: two milliseconds at a million packets a second */

struct capture {
	const struct capture_opts *opts;
	struct capture_opts own; /* what opts points at: the caller's, completed */
	struct meter *meter;
	struct engine *engine; /* tap and inline */
	struct copier *copier; /* copy */
	uint32_t longest;      /* copy: frame that the interfaces take */
	struct capture_sink sink;
	struct capture_losses losses;
	struct link_facts facts[LINKS_MAX];
	struct busy_poll busy[LINKS_MAX];
	int signals;
	uint64_t start; /* ns since 1970 */
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- making ---- */

static unsigned queues_of(const struct capture *c, unsigned link)
{
	unsigned all = meter__queues(c->meter, link), most = c->opts->queues;

	return most && most < all ? most : all;
}

static bool copies(const struct capture *c)
{
	return c->opts->sample == SAMPLE_MODE_COPY;
}

static uint32_t record_size(const struct capture *c)
{
	return (8 + sizeof(struct slice) + c->opts->snaplen + 7) & ~7u;
}

/* A record is as long as the longest slice, so it should not be longer than the interface's frames. */
static void choose_slice(struct capture *c)
{
	struct capture_opts *o = &c->own;
	uint32_t longest = 0, i;
	bool all = o->snaplen == FRAME_MOST, given = o->ring;

	for (i = 0; i < o->links; i++)
		if (c->facts[i].mtu + LINK_HEADER > longest)
			longest = c->facts[i].mtu + LINK_HEADER;
	if (longest > SLICE_MOST)
		longest = SLICE_MOST;
	if (all)
		o->snaplen = longest < SLICE_USUAL ? longest : SLICE_USUAL;
	else if (o->snaplen > longest)
		o->snaplen = longest;
	o->ring = o->ring ? o->ring : RING_LEAST;
	while (o->ring < RING_MOST && o->ring < RING_RECORDS * record_size(c) && !given)
		o->ring *= 2;
	c->longest = longest;
}

static int check_link(const struct capture *c, unsigned link)
{
	if (c->opts->sample != SAMPLE_MODE_INLINE || !c->facts[link].raw)
		return 0;
	return fail(
		-EOPNOTSUPP, "--sample copy works there",
		"sample %s inline: it has no Ethernet header, and the kernel puts nothing else back",
		c->opts->ifname[link]);
}

static int open_meter(struct capture *c)
{
	const struct capture_opts *o = c->opts;
	const struct meter_opts opts = { .mode = o->mode,
					 .chain = o->chain,
					 .match = o->match,
					 .sampling = { .mode = o->sample,
						       .rate = o->rate,
						       .flow_rate = o->flow_rate,
						       .most = REINJECT_MOST,
						       .slice = o->snaplen },
					 .slice_ring = o->ring };
	int err = meter__open(&c->meter, &opts);
	unsigned i;

	for (i = 0; i < o->links && !err; i++) {
		err = meter__add(c->meter, o->ifname[i]);
		if (err >= 0)
			err = check_link(c, i);
	}
	return err;
}

/* A missing interface is told of when the meter comes to it. */
static void take_facts(struct capture *c)
{
	unsigned i;

	for (i = 0; i < c->opts->links; i++)
		link__facts(c->opts->ifname[i], &c->facts[i]);
}

static int open_sink(struct capture *c)
{
	unsigned i, lanes = 0;

	for (i = 0; i < c->opts->links; i++)
		lanes += queues_of(c, i);
	return capture_sink__open(&c->sink, c->opts, copies(c) ? 1 : lanes);
}

static int serve(struct capture *c, unsigned link)
{
	const struct engine_link k = {
		.ifname = c->opts->ifname[link],
		.driver = c->facts[link].driver,
		.link = link,
		.generic = meter__attachment(c->meter, link)->mode == RECEIVE_GENERIC,
		.raw = c->facts[link].raw,
		.mtu = c->facts[link].mtu,
		.queues = queues_of(c, link),
		.sockets_fd = meter__sockets_fd(c->meter, link),
		.arrivals = meter__arrivals(c->meter, link),
		.credit = meter__credits(c->meter, link),
	};

	return engine__add(c->engine, &k);
}

/* Generic XDP stands in the stack itself: it would see what is put back, and take it again, and again. */
static int check_inline(const struct capture *c, const struct attachment *a)
{
	if (a->mode == RECEIVE_GENERIC)
		return fail(-EOPNOTSUPP, "--sample copy works there",
			    "sample %s inline: it needs native XDP, and this is generic",
			    a->ifname);
	return capture_behind__check(a, c->opts->force);
}

static int attach(struct capture *c, unsigned link)
{
	int err = meter__attach(c->meter, link);

	if (!err && c->opts->sample == SAMPLE_MODE_INLINE)
		err = check_inline(c, meter__attachment(c->meter, link));
	if (!err && c->opts->busy_poll)
		err = busy_poll__begin(&c->busy[link], c->opts->ifname[link]);
	return err || copies(c) ? err : serve(c, link);
}

/* Frames of a tap end here, and so does the counting; of others the host itself knows what it received. */
static uint32_t counted_flows(const struct capture *c)
{
	if (c->opts->sample != SAMPLE_MODE_TAP)
		return 0;
	return c->opts->flows && c->opts->flows < UINT32_MAX ? c->opts->flows : FLOWS;
}

static int open_engine(struct capture *c)
{
	const struct engine_opts opts = { .bind = c->opts->bind,
					  .busy_poll = c->opts->busy_poll,
					  .flows = counted_flows(c),
					  .sink = capture_sink__frames(&c->sink) };

	return engine__open(&c->engine, &opts);
}

static int open_copier(struct capture *c)
{
	const struct frame_sink sink = capture_sink__frames(&c->sink);
	int err = copier__open(&c->copier, &sink, c->opts->ring, record_size(c));
	int cpu;

	for (cpu = 0; cpu < libbpf_num_possible_cpus() && !err; cpu++)
		err = copier__add(c->copier, meter__slices_fd(c->meter, cpu));
	say(SAY_NOTE, "copies: the first %u bytes of a packet%s; %u KiB of ring buffer a CPU",
	    c->opts->snaplen,
	    c->opts->snaplen < c->longest ? " (more with -s)" : ", which is all of it",
	    c->opts->ring >> 10);
	return err;
}

static int start(struct capture *c)
{
	int err = copies(c) ? open_copier(c) : open_engine(c);
	unsigned i;

	if (!err)
		err = spool__start(c->sink.spool);
	for (i = 0; i < c->opts->links && !err; i++)
		err = attach(c, i);
	if (err)
		return err;
	return copies(c) ? copier__start(c->copier) : engine__start(c->engine);
}

/* Before any thread is made, so that all of them leave the signals to us. */
static int open_signals(struct capture *c)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals < 0 ? fail(-errno, NULL, "wait for signals") : 0;
}

/* ---- running ---- */

static void say_changes(const char *ifname, const struct link_facts *was,
			const struct link_facts *now)
{
	const char *unserved = "";

	if (now->queues > was->queues)
		unserved =
			": packets of new ones pass uncaptured, and with some drivers (veth) unseen; start "
			"again to have them";
	if (now->up != was->up)
		say(SAY_NOTE, "%s is %s", ifname, now->up ? "up" : "down");
	if (now->queues != was->queues)
		say(SAY_NOTE, "%s has %u receive queue%s now (was %u)%s", ifname, now->queues,
		    now->queues == 1 ? "" : "s", was->queues, unserved);
}

/* A ring buffer does not tell that its interface is gone; a lane does. */
static int check_interface(struct capture *c, unsigned link)
{
	const char *ifname = c->opts->ifname[link];
	struct link_facts now;
	int err = link__facts(ifname, &now);

	if (!err && now.ifindex == c->facts[link].ifindex) {
		say_changes(ifname, &c->facts[link], &now);
		c->facts[link].up = now.up;
		c->facts[link].queues = now.queues;
		return 0;
	}
	return copies(c) ? fail(-ENODEV, "is the interface still there?", "receive from %s", ifname)
			 : 0;
}

static int check_interfaces(struct capture *c)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < c->opts->links && !err; i++) {
		err = check_interface(c, i);
		if (!err && c->opts->sample == SAMPLE_MODE_INLINE)
			err = capture_behind__check_again(meter__attachment(c->meter, i),
							  c->opts->force);
	}
	return err;
}

/* Until a signal, the count, or something that failed and said so. */
static int wait_for_end(struct capture *c)
{
	struct pollfd p[] = { { .fd = c->signals, .events = POLLIN },
			      { .fd = c->sink.enough_fd, .events = POLLIN },
			      { .fd = spool__event_fd(c->sink.spool), .events = POLLIN },
			      { .fd = copies(c) ? -1 : engine__event_fd(c->engine),
				.events = POLLIN } };
	int n, err = 0;

	while (!err && !(n = poll(p, 4, LOOK_MS)))
		err = check_interfaces(c);
	return err || copies(c) ? err : engine__error(c->engine);
}

/* ---- ending ---- */

static void take_losses(struct capture *c)
{
	struct capture_losses *l = &c->losses;

	for (l->links = 0; l->links < c->opts->links; l->links++) {
		struct capture_link_losses *k = &l->link[l->links];

		k->ifname = c->opts->ifname[l->links];
		harvest__tally(meter__harvest(c->meter), l->links, -1, &k->tally);
		if (copies(c))
			k->stats.delivered = copier__delivered(c->copier, l->links);
		else
			engine__stats(c->engine, l->links, &k->stats);
		if (counted_flows(c))
			engine__flows(c->engine, l->links, &k->flows);
	}
	l->sample = c->opts->sample;
}

/* No new frames, then empty the rings. Inline the engine withdraws its credit, and the host goes on receiving meanwhile. */
static void end_sampling(struct capture *c)
{
	if (c->opts->sample == SAMPLE_MODE_INLINE)
		engine__stop(c->engine);
	meter__detach(c->meter);
	if (copies(c))
		copier__stop(c->copier);
	else
		engine__stop(c->engine);
}

/* The order that loses nothing: the rings, then the file, then close. */
static int end(struct capture *c)
{
	void *statistics;
	size_t size;
	int err = 0;

	end_sampling(c);
	take_losses(c);
	size = capture_sink__statistics(&c->losses, c->start, now(), &statistics);
	if (spool__finish(c->sink.spool, statistics, size))
		err = -EIO;
	free(statistics);
	capture_losses__output(&c->losses, &c->sink);
	capture_losses__print(&c->losses);
	if (c->opts->stats && capture_losses__write(&c->losses, c->opts->stats))
		err = -EIO;
	return err;
}

static int run(struct capture *c)
{
	int err, end_err;

	c->start = now();
	say(SAY_NOTE, "capturing to %s; Ctrl-C ends", c->opts->path);
	err = wait_for_end(c);
	end_err = end(c);
	return err ? err : end_err;
}

static void end_busy_poll(struct capture *c)
{
	unsigned i;

	for (i = 0; c->opts->busy_poll && i < c->opts->links; i++)
		busy_poll__end(&c->busy[i]);
}

int capture__run(const struct capture_opts *opts)
{
	struct capture *c = calloc(1, sizeof(*c));
	unsigned i;
	int err;

	if (!c)
		return !!fail(-ENOMEM, NULL, "capture to %s", opts->path);
	c->own = *opts;
	c->opts = &c->own;
	c->signals = -1;
	for (i = 0; i < LINKS_MAX; i++)
		c->busy[i] = (struct busy_poll)BUSY_POLL_NONE;
	take_facts(c);
	if (copies(c))
		choose_slice(c);
	err = open_meter(c);
	if (err >= 0)
		err = open_sink(c);
	if (!err)
		err = open_signals(c);
	if (!err)
		err = start(c);
	if (!err)
		err = run(c);
	meter__close(c->meter);
	engine__close(c->engine);
	end_busy_poll(c);
	copier__close(c->copier);
	if (c->sink.spool)
		spool__finish(c->sink.spool, NULL, 0);
	if (capture_sink__close(&c->sink))
		err = -EIO;
	if (c->signals >= 0)
		close(c->signals);
	free(c);
	return err ? 1 : 0;
}
