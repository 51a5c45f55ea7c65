// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "copier.h"

#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "clock.h"
#include "xdp/flow.h"
#include "xdp/say.h"

#define BATCH 64
#define SETTLE_NS 200000 /* between a slice's time and its being there to read, at most */
#define HEADER 8         /* of a record: length and two marks, page offset */

/*
 * A ring buffer as the kernel maps it: the reader's position in a page of its own, then the writer's, then the records,
 * twice in a row so that none wraps (kernel commit 457f44363a88).
 */
struct ring {
	uint64_t *consumer;
	const uint64_t *producer;
	const uint8_t *records;
	void *first, *second;
	uint64_t size;
	uint64_t at, end;         /* in this pass */
	const struct slice *next; /* NULL: none to read now */
};

struct copier {
	struct frame_sink sink;
	struct ring *ring;
	unsigned rings;
	uint32_t ring_bytes;
	struct clock clock;
	uint32_t room;  /* records that a ring holds at least */
	unsigned batch; /* frames since the sink was told */
	bool stop, started;
	pthread_t thread;
	uint64_t delivered[LINKS_MAX];
};

static void end_batch(struct copier *c)
{
	if (c->batch)
		c->sink.batch(c->sink.to, 0);
	c->batch = 0;
}

static void hand_on(struct copier *c, const struct slice *s)
{
	const struct frame f = { .data = s->data,
				 .caplen = s->caplen,
				 .length = s->length,
				 .time = clock__real(&c->clock, s->time),
				 .link = s->link,
				 .queue = s->queue };

	if (s->link < LINKS_MAX)
		c->delivered[s->link]++;
	c->sink.frame(c->sink.to, 0, &f);
	if (++c->batch < BATCH)
		return;
	end_batch(c);
	clock__update(&c->clock);
}

static const uint32_t *header(const struct ring *r)
{
	return (const uint32_t *)(r->records + (r->at & (r->size - 1)));
}

static void look(struct ring *r)
{
	r->next = NULL;
	if (r->at < r->end &&
	    !(__atomic_load_n(header(r), __ATOMIC_ACQUIRE) & BPF_RINGBUF_BUSY_BIT))
		r->next = (const void *)((const uint8_t *)header(r) + HEADER);
}

static void step(struct ring *r)
{
	uint32_t length = *header(r) & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

	r->at += (length + HEADER + 7) & ~7u;
	__atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
	look(r);
}

/* The ring whose next slice is the oldest; NULL when there is none older than `before`. */
static struct ring *oldest(struct copier *c, uint64_t before)
{
	struct ring *found = NULL, *r;

	for (r = c->ring; r < c->ring + c->rings; r++) {
		if (!r->next || r->next->time >= before)
			continue;
		before = r->next->time;
		found = r;
	}
	return found;
}

/*
 * A flow may move from CPU to CPU, so the rings are merged by time. The newest slices are left for the next pass: an older
 * one may still be on its way into another ring.
 */
static unsigned read_all(struct copier *c, bool last)
{
	struct ring *r;
	uint64_t before;
	unsigned n = 0;

	clock__update(&c->clock);
	before = last ? UINT64_MAX : c->clock.now - SETTLE_NS;
	for (r = c->ring; r < c->ring + c->rings; r++) {
		r->end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
		look(r);
	}
	for (; (r = oldest(c, before)); n++) {
		hand_on(c, r->next);
		step(r);
	}
	end_batch(c);
	return n;
}

/* Short naps only where a ring could fill up in a long one: each waking costs what a hundred copies do. */
static unsigned nap(const struct copier *c, uint32_t found)
{
	if (found > c->room / 2)
		return 0;
	if (found > c->room / 8)
		return 200;
	return 1000;
}

static void *copier__run(void *to)
{
	struct copier *c = to;

	while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE)) {
		unsigned us = nap(c, read_all(c, false));

		if (us)
			usleep(us);
	}
	while (read_all(c, true))
		;
	return NULL;
}

int copier__open(struct copier **out, const struct frame_sink *sink, uint32_t ring_bytes,
		 uint32_t record_bytes)
{
	struct copier *c = calloc(1, sizeof(*c));

	if (!c)
		return fail(-ENOMEM, NULL, "make the reader of copies");
	c->sink = *sink;
	c->ring_bytes = ring_bytes;
	c->room = ring_bytes / record_bytes;
	*out = c;
	return 0;
}

static void unmap(const struct copier *c, struct ring *r)
{
	size_t page = sysconf(_SC_PAGESIZE);

	if (r->first)
		munmap(r->first, page);
	if (r->second)
		munmap(r->second, page + 2 * (size_t)c->ring_bytes);
}

void copier__close(struct copier *c)
{
	unsigned i;

	if (!c)
		return;
	copier__stop(c);
	for (i = 0; i < c->rings; i++)
		unmap(c, &c->ring[i]);
	free(c->ring);
	free(c);
}

static int map(const struct copier *c, struct ring *r, int fd)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	r->first = at;
	at = mmap(NULL, page + 2 * (size_t)c->ring_bytes, PROT_READ, MAP_SHARED, fd, page);
	if (at == MAP_FAILED)
		return -errno;
	r->second = at;
	r->consumer = r->first;
	r->producer = r->second;
	r->records = (const uint8_t *)r->second + page;
	r->size = c->ring_bytes;
	return 0;
}

int copier__add(struct copier *c, int ring_fd)
{
	struct ring *more = realloc(c->ring, (c->rings + 1) * sizeof(*more));
	int err;

	if (!more)
		return fail(-ENOMEM, NULL, "map a ring buffer of copies");
	c->ring = more;
	more[c->rings] = (struct ring){};
	err = map(c, &more[c->rings++], ring_fd);
	return err ? fail(err, NULL, "map a ring buffer of copies") : 0;
}

int copier__start(struct copier *c)
{
	int err = pthread_create(&c->thread, NULL, copier__run, c);

	if (err)
		return fail(-err, NULL, "start the reader of copies");
	pthread_setname_np(c->thread, "wirewho-copies");
	c->started = true;
	return 0;
}

void copier__stop(struct copier *c)
{
	__atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
	if (c->started)
		pthread_join(c->thread, NULL);
	c->started = false;
}

uint64_t copier__delivered(const struct copier *c, uint16_t link)
{
	return c->delivered[link];
}
