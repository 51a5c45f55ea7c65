// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "way_back.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "checksum.h"
#include "reinject.h"
#include "xdp/say.h"

#define LOST_NS 100000000
#define TRIES 3

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

/* A backlog that was full is empty when the call has come back; a signal ends a call early. */
void way_back__send(struct way_back *w)
{
	unsigned done = 0, tries = 0;
	int taken = 0;

	w->since = 0;
	while (done < w->waiting && tries < TRIES && taken != -ENODEV) {
		taken = reinject__run(w->reinject, w->ifindex, done, w->waiting);
		tries = taken > 0 ? 0 : tries + 1;
		done += taken > 0 ? taken : 0;
	}
	w->put_back += done;
	if (done < w->waiting)
		lose(w, w->waiting - done, taken);
	w->waiting = 0;
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
