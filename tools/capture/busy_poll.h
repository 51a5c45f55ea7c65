/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_BUSY_POLL_H
#define WIREWHO_BUSY_POLL_H
/*
 * What an interface needs so that its queues are polled by their readers and not by interrupts: two knobs in sysfs,
 * napi_defer_hard_irqs and gro_flush_timeout (kernel: Documentation/networking/napi.rst, "Software IRQ coalescing"). They
 * belong to the interface and outlive whoever set them, so what they were before is kept in a file below /run as long as they
 * are set. The file is locked by its run: one without a lock was left behind by a run that was killed.
 */
#include <stdbool.h>
#include <stddef.h>

#define BUSY_POLL_USUAL 20 /* us: how long one call polls, as the kernel's documents say */

struct busy_poll_knobs {
	unsigned long defer;   /* napi_defer_hard_irqs: how often interrupts are put off */
	unsigned long timeout; /* gro_flush_timeout: ns, for how long */
};

struct busy_poll {
	char ifname[16];
	char record[64];
	struct busy_poll_knobs was;
	int fd; /* of the record, locked; -1: nothing was set */
};

#define BUSY_POLL_NONE \
	{ \
		.fd = -1 \
	}

/*
 * Sets the knobs of an interface of this network namespace; its XDP program is attached. -EOPNOTSUPP where the driver has no
 * NAPI instance to poll. 0 or -errno (said): then the knobs are what they were.
 */
int busy_poll__begin(struct busy_poll *b, const char *ifname);
void busy_poll__end(struct busy_poll *b); /* puts them back; fine on BUSY_POLL_NONE */

/* The present values. 0 or -errno, nothing said. */
int busy_poll__read(const char *ifname, struct busy_poll_knobs *out);

/* A record of this network namespace. */
struct busy_poll_left {
	char ifname[16]; /* as it is called now, or was */
	bool gone;       /* no such interface any more */
	bool in_use;     /* by a run that lives */
	struct busy_poll_knobs was;
};

/* Calls fn for each record of this namespace, with its path. 0 or -errno; without any 0. */
int busy_poll__each(void (*fn)(void *to, const char *path, const struct busy_poll_left *left),
		    void *to);
/* Puts back what a record says, and removes it. 0 or -errno, nothing said. */
int busy_poll__restore(const char *path, const struct busy_poll_left *left);
#endif
