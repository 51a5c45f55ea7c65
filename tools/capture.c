// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "capture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "xdp/link.h"
#include "xdp/meter.h"
#include "xdp/say.h"

#define SLOTS 8192 /* a CPU: flows that match, between two harvests */
#define OVERFLOW_RECORDS 1024
#define HARVEST_MS 1000

struct capture {
	const struct capture_opts *opts;
	struct meter *meter;
	struct engine *engine;
	struct capture_sink sink;
	struct capture_losses losses;
	struct link_facts facts[LINKS_MAX];
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

static int open_meter(struct capture *c)
{
	const struct capture_opts *o = c->opts;
	const struct meter_opts opts = { .mode = o->mode,
					 .size = { .slots = o->flows ? o->flows : SLOTS,
						   .overflow = OVERFLOW_RECORDS,
						   .hash = o->hash },
					 .match = o->match,
					 .match_counts = true,
					 .sampling = { .mode = SAMPLE_MODE_TAP } };
	int err = meter__open(&c->meter, &opts);
	unsigned i;

	for (i = 0; i < o->links && !err; i++) {
		err = meter__add(c->meter, o->ifname[i]);
		if (err >= 0)
			err = link__facts(o->ifname[i], &c->facts[i]);
	}
	return err;
}

static int open_sink(struct capture *c)
{
	unsigned i, lanes = 0;

	for (i = 0; i < c->opts->links; i++)
		lanes += queues_of(c, i);
	return capture_sink__open(&c->sink, c->opts, lanes);
}

static int attach(struct capture *c, unsigned link)
{
	int err = meter__attach(c->meter, link);
	const struct engine_link k = {
		.ifname = c->opts->ifname[link],
		.driver = c->facts[link].driver,
		.link = link,
		.generic = meter__attachment(c->meter, link)->mode == XDP_MODE_WANT_GENERIC,
		.mtu = c->facts[link].mtu,
		.queues = queues_of(c, link),
		.sockets_fd = meter__sockets_fd(c->meter, link),
	};

	return err ? err : engine__add(c->engine, &k);
}

static int open_engine(struct capture *c)
{
	const struct engine_opts opts = { .bind = c->opts->bind,
					  .sink = capture_sink__frames(&c->sink) };
	int err = engine__open(&c->engine, &opts);
	unsigned i;

	if (!err)
		err = spool__start(c->sink.spool);
	for (i = 0; i < c->opts->links && !err; i++)
		err = attach(c, i);
	return err ? err : engine__start(c->engine);
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

/* Nobody asks for flows here; the table is harvested so that the ledger is whole. */
static void ignore(void *to, const struct harvested *h)
{
	(void)to, (void)h;
}

static int harvest(struct capture *c)
{
	return harvest__run(meter__harvest(c->meter), ignore, NULL);
}

/* Until a signal, the count, or something that failed and said so. */
static int wait_for_end(struct capture *c)
{
	struct pollfd p[] = { { .fd = c->signals, .events = POLLIN },
			      { .fd = c->sink.enough_fd, .events = POLLIN },
			      { .fd = engine__event_fd(c->engine), .events = POLLIN },
			      { .fd = spool__event_fd(c->sink.spool), .events = POLLIN } };
	int n, err = 0;

	while (!err && !(n = poll(p, 4, HARVEST_MS)))
		err = harvest(c);
	return err ? err : engine__error(c->engine);
}

/* ---- ending ---- */

static void take_losses(struct capture *c)
{
	struct capture_losses *l = &c->losses;

	for (l->links = 0; l->links < c->opts->links; l->links++) {
		struct capture_link_losses *k = &l->link[l->links];

		k->ifname = c->opts->ifname[l->links];
		harvest__tally(meter__harvest(c->meter), l->links, -1, &k->tally);
		engine__stats(c->engine, l->links, &k->stats);
	}
}

/* The order that loses nothing: no new frames, then empty the rings, then the file, then close. */
static int end(struct capture *c)
{
	void *statistics;
	size_t size;
	int err;

	meter__detach(c->meter);
	engine__stop(c->engine);
	err = harvest(c);
	take_losses(c);
	size = capture_sink__statistics(&c->losses, c->start, now(), &statistics);
	if (spool__finish(c->sink.spool, statistics, size))
		err = -EIO;
	free(statistics);
	capture_losses__output(&c->losses, &c->sink);
	capture_losses__print(&c->losses);
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

int capture__run(const struct capture_opts *opts)
{
	struct capture *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return !!fail(-ENOMEM, NULL, "capture to %s", opts->path);
	c->opts = opts;
	c->signals = -1;
	err = open_meter(c);
	if (err >= 0)
		err = open_sink(c);
	if (!err)
		err = open_signals(c);
	if (!err)
		err = open_engine(c);
	if (!err)
		err = run(c);
	meter__close(c->meter);
	engine__close(c->engine);
	if (c->sink.spool)
		spool__finish(c->sink.spool, NULL, 0);
	if (capture_sink__close(&c->sink))
		err = -EIO;
	if (c->signals >= 0)
		close(c->signals);
	free(c);
	return err ? 1 : 0;
}
