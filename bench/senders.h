/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SENDERS_H
#define WIREWHO_SENDERS_H
/*
 * Other ways to send the generator's frames (generator.h), for where live frames cannot: each sends until so many frames are
 * made, so many seconds are over (0: no limit), or a signal comes. 0 or -errno (said).
 */
#include "generator.h"

struct sending {
	struct generator_opts opts;
	uint64_t frames;
	double seconds;
	unsigned cpu, threads;
	const char *replay; /* a capture file; or NULL */
};

/* What pktgen cannot send, as a few words; NULL: it can, and this kernel has it. */
const char *pktgen__lacks(const struct sending *s);

/*
 * The kernel's pktgen, over /proc/net/pktgen: UDP over IPv4, the flows one after another, threads on the CPUs from s->cpu on.
 * It ends in steps of a tenth of a second. Uses the interface's own devices in pktgen, and nobody else's.
 */
int pktgen__send(const struct sending *s, struct generated *out);

/*
 * A packet socket past the queueing discipline: frames of any size that the interface takes, or every packet of a capture file of
 * Ethernet frames exactly as it stands there, in its order, over and over. Frames longer than the MTU are an error.
 */
int packets__send(const struct sending *s, struct generated *out);
#endif
