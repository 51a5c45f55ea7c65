// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "way_back.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "checksum.h"
#include "reinject.h"
#include "xdp/say.h"

#define LOST_NS 100000000
#define TRIES 3
#define GATHER_NS 250000
#define GATHER_LEAST 3   /* frames that are worth the waiting */
#define GATHER_EVERY 128 /* batches between two attempts where it was not */

int way_back__open(struct way_back *w, struct credit *credit, const char *ifname, unsigned queue)
{
	char name[sizeof("reinject--4294967295") + IF_NAMESIZE];
	int err;

	*w = (struct way_back){ .credit = credit,
				.ifindex = if_nametoindex(ifname),
				.queue = queue };
	snprintf(w->ifname, sizeof(w->ifname), "%s", ifname);
	snprintf(name, sizeof(name), "reinject-%s-%u", ifname, queue);
	err = reinject__open(&w->reinject);
	return err ? err : reinject__pin(w->reinject, name);
}

void way_back__close(struct way_back *w)
{
	reinject__close(w->reinject);
	*w = (struct way_back){};
}

static void lose(struct way_back *w, unsigned frames, int err)
{
	if (!w->failed)
		fail(err, "they are lost, and counted as put_back_failed",
		     "put frames back into the stack of %s, queue %u", w->ifname, w->queue);
	w->failed += frames;
}

void way_back__add(struct way_back *w, const uint8_t *data, uint32_t length)
{
	uint8_t *to = reinject__frame(w->reinject, w->waiting);

	w->taken++;
	if (length > REINJECT_MOST) {
		lose(w, 1, -EMSGSIZE);
		return;
	}
	memcpy(to, data, length);
	checksum__complete(to, length);
	reinject__set_length(w->reinject, w->waiting++, length);
}

/* The program on another CPU may spend it at once: what it pays for is in the fill ring already. */
void way_back__grant(struct way_back *w, uint64_t now)
{
	uint64_t limit = w->ended ? 0 : w->taken + w->room;

	__atomic_store_n(&w->credit->until, now + CREDIT_NS, __ATOMIC_RELEASE);
	__atomic_store_n(&w->credit->limit, limit, __ATOMIC_RELEASE);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * A call that puts frames back makes a page pool and takes it apart, and to take one apart the kernel walks the list of all
 * whose frames are still in some socket. That grows with the square of the calls: under nginx nine thousand a second took a
 * third of a CPU. Where waiting brings no other frame (who asks, and waits for the answer), each goes at once.
 */
void way_back__gather(struct way_back *w)
{
	const uint64_t until = w->sent_at + GATHER_NS;
	const struct timespec t = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };

	w->gathered = false;
	if (w->full || (!w->patient && ++w->batches % GATHER_EVERY) || now_ns() >= until)
		return;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	w->gathered = true;
}

static void end_batch(struct way_back *w)
{
	if (w->gathered)
		w->patient = w->waiting >= GATHER_LEAST;
	w->full = w->waiting == REINJECT_BATCH;
	w->waiting = 0;
	w->sent_at = now_ns();
}

void way_back__send(struct way_back *w)
{
	int taken = 0, tries;

	w->since = 0;
	if (!w->waiting)
		return;
	for (tries = 0; tries < TRIES && taken <= 0 && taken != -ENODEV; tries++)
		taken = reinject__run(w->reinject, w->ifindex, w->waiting);
	if (taken > 0)
		w->put_back += taken;
	if (taken < (int)w->waiting)
		lose(w, w->waiting - (taken > 0 ? taken : 0), taken < 0 ? taken : -EIO);
	end_batch(w);
}

bool way_back__expects(struct way_back *w, uint64_t now)
{
	uint64_t used = __atomic_load_n(&w->credit->used, __ATOMIC_ACQUIRE);

	if (used <= w->taken)
		return false;
	if (!w->since || used != w->used) {
		w->used = used;
		w->since = now;
		return true;
	}
	if (now - w->since < LOST_NS)
		return true;
	w->recovered += used - w->taken;
	w->taken = used;
	return false;
}

void way_back__end(struct way_back *w)
{
	w->ended = true;
	way_back__grant(w, 0);
	/* A program that saw the old limit runs in a softirq, which ends before an RCU grace period does. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(20000);
}
