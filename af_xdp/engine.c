// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "engine.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "clock.h"
#include "flow_counts.h"
#include "way_back.h"
#include "xdp/flow.h"
#include "xdp/say.h"

#define FRAMES 4096
#define FRAME_SIZE_LEAST 2048
#define FRAME_SIZE_MOST 4096
#define BATCH 64
#define AHEAD 8 /* frames that are fetched while others are looked at */
#define FETCH_MOST 192
#define NAP_MS 1000
#define REST_US \
	50 /* and what the kernel adds; a ring lasts a millisecond at four million frames a second */
#define BUSY_TRIES 40
#define BUSY_NAP_US 50000
#define LINK_HEADER 22 /* Ethernet and two VLAN tags */

/* What the program noted of a frame; time 0: nothing. */
struct stamp {
	uint64_t time;
	uint32_t length; /* of the frame that it belongs to; 0: this one for sure */
};

/* A frame that comes in several pieces, on its way into one. */
struct assembly {
	uint8_t *bytes; /* FRAME_MOST */
	uint32_t kept;
	uint32_t length; /* 0: none under way */
	struct stamp stamp;
};

struct lane {
	struct engine *engine;
	unsigned number;
	char ifname[16];
	uint16_t link, queue;
	int map_fd;
	struct queue_socket socket;
	struct clock clock;
	struct assembly assembly;
	const uint64_t *arrivals; /* of this queue; NULL: in front of the frames */
	uint64_t arrived;         /* the latest of them so far */
	uint64_t *last;           /* by frame of ours: the time it last came with, in front */
	struct way_back back;     /* inline only */
	bool puts_back;
	struct flow_counts *flows; /* NULL: not asked for */
	uint64_t delivered;
	uint64_t rested; /* `delivered` at the last rest */
	int err;
	bool started;
	pthread_t thread;
};

struct engine {
	struct engine_opts opts;
	struct lane **lane;
	unsigned lanes;
	bool stop;
	int stop_fd, event_fd;
};

/* ---- frames ---- */

/* What stands at the place of a frame that was not noted is of a round before, and older. */
static struct stamp noted(struct lane *l, const struct piece *p)
{
	uint64_t at = l->arrivals[p->place % ARRIVALS];

	if (at > l->arrived)
		l->arrived = at;
	return (struct stamp){ .time = l->arrived };
}

/*
 * When a frame arrived, or began to: what the program knew. A frame of ours that comes back may still have the time of its
 * last journey in front, so that one is remembered; taking it away instead would be a write to memory that the receiving
 * CPU then has to get back from ours.
 */
static struct stamp stamp_of(struct lane *l, const struct piece *p)
{
	const struct frame_meta *meta = (const struct frame_meta *)p->data - 1;
	uint64_t *last = &l->last[p->addr / l->socket.umem.frame_size];

	if (l->arrivals)
		return noted(l, p);
	if (meta->magic != FRAME_META_MAGIC || meta->time == *last)
		return (struct stamp){ .time = 0 };
	*last = meta->time;
	return (struct stamp){ .time = meta->time, .length = meta->length };
}

static void hand_on(struct lane *l, const uint8_t *data, uint32_t caplen, uint32_t length,
		    struct stamp s)
{
	bool stamped = s.time && (!s.length || s.length == length);
	const struct frame f = { .data = data,
				 .caplen = caplen,
				 .length = length,
				 .time = clock__real(&l->clock, stamped ? s.time : l->clock.now),
				 .link = l->link,
				 .queue = l->queue };

	l->delivered++;
	l->engine->opts.sink.frame(l->engine->opts.sink.to, l->number, &f);
	if (l->flows)
		flow_counts__show(l->flows, data, caplen, length);
	if (l->puts_back)
		way_back__add(&l->back, data, caplen);
}

static void assemble(struct lane *l, const struct piece *p)
{
	struct assembly *a = &l->assembly;
	uint32_t part = p->size < FRAME_MOST - a->kept ? p->size : FRAME_MOST - a->kept;

	if (!a->length)
		a->stamp = stamp_of(l, p);
	memcpy(a->bytes + a->kept, p->data, part);
	a->kept += part;
	a->length += p->size;
	if (p->more)
		return;
	hand_on(l, a->bytes, a->kept, a->length, a->stamp);
	a->kept = a->length = 0;
}

static void take_piece(struct lane *l, const struct piece *p)
{
	if (p->more || l->assembly.length) {
		assemble(l, p);
		return;
	}
	hand_on(l, p->data, p->size, p->size, stamp_of(l, p));
}

/*
 * What another CPU wrote comes from its cache, and many lines on their way at once take no longer than one. Not more than the
 * frame has: the other CPU would have to get back what it is about to write.
 */
static void fetch(const struct piece *p)
{
	uint32_t at;

	for (at = 0; at < p->size && at < FETCH_MOST; at += 64)
		__builtin_prefetch(p->data + at);
}

static unsigned receive(struct lane *l)
{
	const struct frame_sink *sink = &l->engine->opts.sink;
	struct piece piece[BATCH];
	unsigned n = queue_socket__take(&l->socket, piece, BATCH), i;

	if (!n)
		return 0;
	clock__update(&l->clock);
	for (i = 0; i < n; i++) {
		if (i + AHEAD < n)
			fetch(&piece[i + AHEAD]);
		take_piece(l, &piece[i]);
	}
	queue_socket__give(&l->socket, piece, n);
	if (l->flows)
		flow_counts__settle(l->flows);
	if (l->puts_back) {
		way_back__grant(&l->back, l->clock.now);
		way_back__send(&l->back);
	}
	sink->batch(sink->to, l->number);
	return n;
}

/* ---- threads ---- */

static bool renew_credit(struct lane *l)
{
	bool expecting;

	clock__update(&l->clock);
	expecting = way_back__expects(&l->back, l->clock.now);
	way_back__grant(&l->back, l->clock.now);
	return expecting;
}

static int wait_for_frames(struct lane *l)
{
	struct pollfd p[] = { { .fd = l->socket.fd, .events = POLLIN },
			      { .fd = l->engine->stop_fd, .events = POLLIN } };
	int n;

	if (l->puts_back)
		renew_credit(l);
	if (l->engine->opts.busy_poll)
		return queue_socket__poll_driver(&l->socket);
	n = poll(p, 2, l->puts_back ? CREDIT_RENEW_MS : NAP_MS);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : queue_socket__check(&l->socket);
}

/* What is in the ring now. Nothing comes after it when the program is detached; if it is not, we still end. */
static void empty_ring(struct lane *l)
{
	uint32_t left = l->socket.umem.frames, n;

	while (left && (n = receive(l)))
		left -= n < left ? n : left;
}

/* Nothing comes after the end of credit but what was redirected before: wait for it, and put it back. */
static void put_all_back(struct lane *l)
{
	way_back__end(&l->back);
	while (receive(l) || renew_credit(l))
		sched_yield();
}

/*
 * Whoever waits in poll() is woken for the first frame that comes, and that is paid for by the CPU that receives. So while frames
 * come, the lane takes short rests instead, in which they gather; the time of each is that of its arrival. Inline they
 * would be late: there it waits for the first.
 */
static bool rest(struct lane *l)
{
	if (l->puts_back || l->rested == l->delivered || l->engine->opts.busy_poll)
		return false;
	l->rested = l->delivered;
	usleep(REST_US);
	return true;
}

/*
 * Inline the CPUs are the service's. As a batch thread it does not stop whoever runs when a frame wakes it: on a CPU that is
 * busy frames gather until their turn comes, as others do; on one that is idle it comes at once.
 */
static void begin_inline(struct lane *l)
{
	const struct sched_param none = {};

	sched_setscheduler(0, SCHED_BATCH, &none);
	renew_credit(l);
}

static void *lane__run(void *to)
{
	struct lane *l = to;
	int err = 0;

	if (l->puts_back)
		begin_inline(l);
	while (!err && !__atomic_load_n(&l->engine->stop, __ATOMIC_ACQUIRE)) {
		if (!receive(l) && !rest(l))
			err = wait_for_frames(l);
	}
	if (l->puts_back)
		put_all_back(l);
	else
		empty_ring(l);
	if (err) {
		fail(err, "is the interface still there?", "receive from %s, queue %u", l->ifname,
		     l->queue);
		__atomic_store_n(&l->err, err, __ATOMIC_RELEASE);
		eventfd_write(l->engine->event_fd, 1);
	}
	return NULL;
}

/* The n-th CPU that we may use; -1 where there are fewer. */
static int nth_cpu(unsigned n)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && !n--)
			return cpu;
	return -1;
}

/*
 * A tap owns its CPU. Inline the CPUs belong to the service: pinned to one that is busy, frames would wait although another
 * is idle.
 */
static void pin(const struct lane *l, pthread_attr_t *attr)
{
	int cpu = nth_cpu(l->number);
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu < 0)
		return;
	CPU_SET(cpu, &set);
	pthread_attr_setaffinity_np(attr, sizeof(set), &set);
}

static int lane__start(struct lane *l)
{
	pthread_attr_t attr;
	char name[16];
	int err;

	pthread_attr_init(&attr);
	if (!l->puts_back)
		pin(l, &attr);
	err = pthread_create(&l->thread, &attr, lane__run, l);
	pthread_attr_destroy(&attr);
	if (err)
		return fail(-err, NULL, "start the thread for %s, queue %u", l->ifname, l->queue);
	snprintf(name, sizeof(name), "wirewho-rx%u", l->number % 10000);
	pthread_setname_np(l->thread, name);
	l->started = true;
	return 0;
}

static int place(struct lane *l)
{
	int err = queue_socket__place(&l->socket, l->map_fd);

	return err ? fail(err, NULL, "place the AF_XDP socket of %s, queue %u", l->ifname, l->queue)
		   : 0;
}

/* A frame is redirected to nobody before somebody is there to receive it. */
int engine__start(struct engine *e)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < e->lanes && !err; i++)
		err = lane__start(e->lane[i]);
	for (i = 0; i < e->lanes && !err; i++)
		err = place(e->lane[i]);
	if (err)
		engine__stop(e);
	return err;
}

void engine__stop(struct engine *e)
{
	unsigned i;

	__atomic_store_n(&e->stop, true, __ATOMIC_RELEASE);
	eventfd_write(e->stop_fd, 1);
	for (i = 0; i < e->lanes; i++) {
		if (e->lane[i]->started)
			pthread_join(e->lane[i]->thread, NULL);
		e->lane[i]->started = false;
	}
}

/* ---- sockets ---- */

/* One way to bind a queue. */
struct way {
	bool zerocopy, pieces;
};

/* The smaller, the fewer pages: the kernel needs a translation of each. */
static uint32_t frame_size(const struct engine *e, const struct engine_link *k)
{
	if (e->opts.frame_size)
		return e->opts.frame_size;
	return k->mtu + LINK_HEADER <= FRAME_SIZE_LEAST - FRAME_HEADROOM ? FRAME_SIZE_LEAST
									 : FRAME_SIZE_MOST;
}

static bool has_long_frames(const struct engine *e, const struct engine_link *k)
{
	return k->mtu + LINK_HEADER > frame_size(e, k) - FRAME_HEADROOM;
}

static int try_way(struct engine *e, const struct engine_link *k, unsigned queue, struct way way,
		   struct queue_socket *s)
{
	const struct queue_socket_opts opts = { .ifname = k->ifname,
						.queue = queue,
						.frames = e->opts.frames,
						.frame_size = frame_size(e, k),
						.zerocopy = way.zerocopy,
						.pieces = way.pieces,
						.busy_poll = e->opts.busy_poll };

	unsigned tries = BUSY_TRIES;
	int err;

	/* The kernel frees the queue of a socket some time after its owner has ended: a run after a run must not fail. */
	while ((err = queue_socket__open(s, &opts)) == -EBUSY && --tries)
		usleep(BUSY_NAP_US);
	return err;
}

static int complain(const struct engine_link *k, unsigned queue, struct way way, int err)
{
	const char *hint = "see `wirewho doctor`";

	if (way.zerocopy)
		hint = "the driver has no zero-copy, or not for this: try --bind copy";
	else if (err == -EBUSY)
		hint = "another AF_XDP socket has this queue: stop its owner, or serve fewer with --queues";
	else if (err == -EPERM)
		hint = "run as root, or with CAP_NET_RAW";
	else if (err == -ENOBUFS)
		hint = "its frames do not fit below `ulimit -l`: raise it, or run with CAP_IPC_LOCK";
	return fail(err, hint, "bind an AF_XDP socket to %s, queue %u (%s)", k->ifname, queue,
		    way.zerocopy ? "zero-copy" : "copy");
}

/* Tries the ways on queue 0, best first; *refused says why zero-copy could not be had. */
static int choose_way(struct engine *e, const struct engine_link *k, struct way *way,
		      struct queue_socket *s, int *refused)
{
	int err = -EOPNOTSUPP;

	*refused = 0;
	*way = (struct way){ true, has_long_frames(e, k) };
	if (e->opts.bind != BIND_COPY && !k->generic)
		err = try_way(e, k, 0, *way, s);
	if (!err || e->opts.bind == BIND_ZEROCOPY)
		return err;
	*refused = err;
	*way = (struct way){ false, true };
	err = try_way(e, k, 0, *way, s);
	if (err != -EINVAL)
		return err;
	way->pieces = false;
	return try_way(e, k, 0, *way, s);
}

static void report(const struct engine *e, const struct engine_link *k,
		   const struct queue_socket *s, int refused)
{
	char why[128] = "";

	if (e->opts.bind != BIND_COPY && k->generic)
		snprintf(why, sizeof(why), " (generic XDP has no zero-copy)");
	else if (e->opts.bind != BIND_COPY && refused == -EOPNOTSUPP)
		snprintf(why, sizeof(why), " (driver %s has no zero-copy)", k->driver);
	else if (e->opts.bind != BIND_COPY && refused)
		snprintf(why, sizeof(why), " (driver %s refused zero-copy: %s)", k->driver,
			 strerror(-refused));
	say(SAY_NOTE, "%s: %u queue%s, AF_XDP %s mode%s", k->ifname, k->queues,
	    k->queues == 1 ? "" : "s", s->zerocopy ? "zero-copy" : "copy", why);
	if (!s->pieces && (k->generic || has_long_frames(e, k)))
		say(SAY_NOTE,
		    "%s: this kernel takes no frame longer than %u bytes here; such frames are counted "
		    "as rx_dropped",
		    k->ifname, frame_size(e, k) - FRAME_HEADROOM);
}

static void free_lane(struct lane *l)
{
	if (!l)
		return;
	free(l->assembly.bytes);
	free(l->last);
	flow_counts__close(l->flows);
	free(l);
}

/* A new lane at the end of the list, without socket. */
static struct lane *new_lane(struct engine *e, const struct engine_link *k, unsigned queue)
{
	struct lane **more = realloc(e->lane, (e->lanes + 1) * sizeof(*more));
	struct lane *l = calloc(1, sizeof(*l));

	if (more)
		e->lane = more;
	if (l) {
		l->assembly.bytes = malloc(FRAME_MOST);
		l->last = calloc(e->opts.frames, sizeof(*l->last));
	}
	if (!more || !l || !l->assembly.bytes || !l->last ||
	    (e->opts.flows && flow_counts__open(&l->flows, e->opts.flows, k->link, k->raw))) {
		free_lane(l);
		return NULL;
	}
	l->engine = e;
	l->number = e->lanes;
	l->link = k->link;
	l->queue = queue;
	l->map_fd = k->sockets_fd;
	l->arrivals = k->arrivals ? k->arrivals + (size_t)queue * ARRIVALS : NULL;
	snprintf(l->ifname, sizeof(l->ifname), "%s", k->ifname);
	e->lane[e->lanes++] = l;
	return l;
}

/*
 * A driver in zero-copy mode keeps frames for all it receives, redirected or not. In copy mode a little is left for CPUs
 * that overdraw a credit by one frame each.
 */
static uint64_t room_of(const struct queue_socket *s)
{
	return s->umem.frames - s->umem.frames / (s->zerocopy ? 2 : 8);
}

static int prepare_way_back(struct lane *l, const struct engine_link *k)
{
	int err;

	if (!k->credit)
		return 0;
	err = way_back__open(&l->back, &k->credit[l->queue], k->ifname, l->queue);
	if (err)
		return err;
	l->back.room = room_of(&l->socket);
	l->puts_back = true;
	return 0;
}

int engine__add(struct engine *e, const struct engine_link *k)
{
	int refused = 0, err = 0;
	struct way way = {};
	unsigned i;

	for (i = 0; i < k->queues && !err; i++) {
		struct lane *l = new_lane(e, k, i);

		if (!l)
			return fail(-ENOMEM, NULL, "serve %s, queue %u", k->ifname, i);
		err = i ? try_way(e, k, i, way, &l->socket)
			: choose_way(e, k, &way, &l->socket, &refused);
		if (err)
			return complain(k, i, way, err);
		err = prepare_way_back(l, k);
		if (!i)
			report(e, k, &l->socket, refused);
	}
	return err;
}

/* ---- open and close, and what is known at the end ---- */

int engine__open(struct engine **out, const struct engine_opts *opts)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return fail(-ENOMEM, NULL, "make the AF_XDP engine");
	e->opts = *opts;
	if (!e->opts.frames)
		e->opts.frames = FRAMES;
	e->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->stop_fd < 0 || e->event_fd < 0) {
		int err = -errno;

		engine__close(e);
		return fail(err, NULL, "make the AF_XDP engine");
	}
	*out = e;
	return 0;
}

void engine__close(struct engine *e)
{
	unsigned i;

	if (!e)
		return;
	engine__stop(e);
	for (i = 0; i < e->lanes; i++) {
		queue_socket__close(&e->lane[i]->socket);
		way_back__close(&e->lane[i]->back);
		free_lane(e->lane[i]);
	}
	free(e->lane);
	if (e->stop_fd >= 0)
		close(e->stop_fd);
	if (e->event_fd >= 0)
		close(e->event_fd);
	free(e);
}

unsigned engine__lanes(const struct engine *e)
{
	return e->lanes;
}

int engine__event_fd(const struct engine *e)
{
	return e->event_fd;
}

int engine__error(const struct engine *e)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < e->lanes && !err; i++)
		err = __atomic_load_n(&e->lane[i]->err, __ATOMIC_ACQUIRE);
	return err;
}

static void add_stats(const struct lane *l, struct engine_stats *sum)
{
	struct xdp_statistics s;

	if (l->engine->opts.busy_poll && l->delivered && !queue_socket__has_driver(&l->socket))
		say(SAY_NOTE,
		    "%s, queue %u: the driver named no NAPI instance: nothing was busy polled, and frames came "
		    "by interrupt",
		    l->ifname, l->queue);
	queue_socket__statistics(&l->socket, &s);
	say(SAY_DETAIL, "%s, queue %u: %llu delivered, rx_dropped %llu, rx_ring_full %llu",
	    l->ifname, l->queue, (unsigned long long)l->delivered, s.rx_dropped, s.rx_ring_full);
	sum->delivered += l->delivered;
	sum->rx_dropped += s.rx_dropped;
	sum->rx_ring_full += s.rx_ring_full;
	sum->rx_fill_ring_empty += s.rx_fill_ring_empty_descs;
	sum->put_back += l->back.put_back;
	sum->put_back_failed += l->back.failed;
	sum->credit_recovered += l->back.recovered;
	sum->rx_invalid += s.rx_invalid_descs;
}

void engine__stats(const struct engine *e, uint16_t link, struct engine_stats *out)
{
	unsigned i;

	*out = (struct engine_stats){};
	for (i = 0; i < e->lanes; i++)
		if (e->lane[i]->link == link)
			add_stats(e->lane[i], out);
}

void engine__flows(const struct engine *e, uint16_t link, struct flow_sums *out)
{
	unsigned i;

	*out = (struct flow_sums){};
	for (i = 0; i < e->lanes; i++)
		if (e->lane[i]->link == link && e->lane[i]->flows)
			flow_counts__add_up(e->lane[i]->flows, out);
}
