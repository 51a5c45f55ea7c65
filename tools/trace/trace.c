// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "state.h"
#include "tools/hooks.h"
#include "xdp/pin.h"
#include "xdp/say.h"

#define NS 1000000000ull
#define LOOK_MS 100 /* an event waits at most so long, unless the ring fills up */

/* ---- options ---- */

static int take_interval(struct trace_opts *o, const char *verb, int n, char **args)
{
	if (n > 2) {
		say(SAY_ERROR, "%s takes an interval and a count, but got '%.80s' too", verb,
		    args[2]);
		return -EINVAL;
	}
	if (n > 0 && opt__number(args[0], "interval", 1, 86400, &o->interval))
		return -EINVAL;
	if (n > 1 && opt__number(args[1], "count", 1, 1u << 30, &o->count))
		return -EINVAL;
	return 0;
}

int trace__parse(struct trace_opts *o, int argc, char **argv, const struct usage *usage,
		 const struct opt *opts)
{
	int first = opt__parse(argc, argv, usage, opts);

	if (first == OPT_HELPED)
		return 0;
	if (first < 0 || take_interval(o, usage->verb, argc - first, argv + first))
		return 2;
	return -1;
}

/* ---- the event loop ---- */

uint64_t trace__now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static int watch(struct trace *t, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(t->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int watch_signals(struct trace *t)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signals < 0 ? -errno : watch(t, t->signals);
}

static int watch_timer(struct trace *t)
{
	struct itimerspec every = { .it_value = { .tv_nsec = LOOK_MS * 1000000 },
				    .it_interval = { .tv_nsec = LOOK_MS * 1000000 } };

	t->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->timer < 0 || timerfd_settime(t->timer, 0, &every, NULL))
		return -errno;
	return watch(t, t->timer);
}

/* Signals are held back before anything is attached, so that none can end us half way. */
static int open_loop(struct trace *t)
{
	int err;

	t->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = t->epoll < 0 ? -errno : watch_signals(t);
	if (!err)
		err = watch_timer(t);
	return err ? fail(err, NULL, "make the event loop") : 0;
}

static int take_events(struct trace *t)
{
	write__clocks(t);
	if (t->tracer->look)
		t->tracer->look(t->self, trace__now());
	if (t->ring)
		ring_buffer__consume(t->ring);
	return write__flush(t);
}

int trace__tell_count(const struct trace *t)
{
	say(SAY_NOTE, "%llu events, %llu lost so far", (unsigned long long)t->events,
	    (unsigned long long)trace__lost(t));
	return 0;
}

static int end_interval(struct trace *t)
{
	int err = t->tracer->interval ? t->tracer->interval(t->self, false) : trace__tell_count(t);

	t->intervals++;
	if (t->opts->count && t->intervals >= t->opts->count)
		t->stop = true;
	return err ? err : write__flush(t);
}

static int on_timer(struct trace *t)
{
	uint64_t expirations, now = trace__now();
	int err;

	if (read(t->timer, &expirations, sizeof(expirations)) < 0)
		return 0;
	err = take_events(t);
	if (!err && t->opts->interval &&
	    now >= t->start + (t->intervals + 1) * t->opts->interval * NS)
		err = end_interval(t);
	if (err || now < t->ticked + NS)
		return err;
	process_table__tick(t->processes, now);
	t->ticked = now;
	return t->tracer->tick ? t->tracer->tick(t->self) : 0;
}

static int loop_once(struct trace *t)
{
	struct epoll_event e;
	int n = epoll_wait(t->epoll, &e, 1, -1);
	struct signalfd_siginfo info;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (e.data.fd == t->timer)
		return on_timer(t);
	if (e.data.fd != t->signals)
		return take_events(t);
	while (read(t->signals, &info, sizeof(info)) == sizeof(info))
		t->stop = true;
	return 0;
}

/* Nothing is attached any more when the last events are taken, so none can be missed. */
static int finish(struct trace *t)
{
	int err;

	load__detach(t);
	err = take_events(t);
	/* With a count the intervals were whole ones; else a last, shorter one is left. */
	if (!err && t->tracer->interval && !(t->opts->count && t->intervals >= t->opts->count))
		err = t->tracer->interval(t->self, true);
	if (t->tracer->end)
		t->tracer->end(t->self);
	write__end(t);
	return err ? err : write__flush(t);
}

static int run(struct trace *t)
{
	int err = 0, last;

	if (t->ring && watch(t, ring_buffer__epoll_fd(t->ring)))
		return fail(-errno, NULL, "wait for events");
	say(SAY_NOTE, "watching %s; Ctrl-C ends", t->tracer->what);
	t->start = t->ticked = trace__now();
	while (!t->stop && !err)
		err = loop_once(t);
	last = finish(t);
	return err ? err : last;
}

/* ---- opening and closing ---- */

static int open_all(struct trace *t)
{
	int err = write__open(t);

	if (!err)
		err = users__open(&t->users);
	if (!err)
		err = process_table__open(&t->processes);
	if (!err)
		err = open_loop(t);
	if (!err)
		err = t->tracer->open(t->self, t);
	if (!err)
		err = write__flush(t);
	return err;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int close_all(struct trace *t)
{
	load__detach(t);
	ring_buffer__free(t->ring);
	t->tracer->close(t->self);
	process_table__close(t->processes);
	users__close(t->users);
	close_fd(t->timer);
	close_fd(t->signals);
	close_fd(t->epoll);
	close_fd(t->cgroup);
	pins__close();
	return write__close(t);
}

int trace__run(const struct trace_opts *o, const struct tracer *tracer, void *self)
{
	struct trace t = { .opts = o, .tracer = tracer, .self = self };
	int err;

	t.epoll = t.signals = t.timer = t.lost_map = -1;
	say__set_level(o->verbose ? SAY_DETAIL : SAY_NOTE);
	hooks__hush();
	err = who_opts__take(&o->whom, &t.filter, &t.cgroup);
	if (err) {
		close_fd(t.cgroup);
		return err == -EINVAL ? 2 : 1;
	}
	if (o->pin)
		err = pins__open(o->pin);
	if (!err)
		err = open_all(&t);
	if (!err)
		err = run(&t);
	return close_all(&t) || err ? 1 : 0;
}

void trace__owner_event(struct trace *t, const struct owner_event *e)
{
	process_table__event(t->processes, e);
}

bool trace__takes(struct trace *t, const struct who *who)
{
	const struct process *p = t->filter.by_cgroup && who->pid ? trace__process(t, who) : NULL;

	return who_opts__takes(&t->opts->whom, &t->filter, who, p);
}

const struct process *trace__process(struct trace *t, const struct who *who)
{
	return process_table__get(t->processes, who);
}
