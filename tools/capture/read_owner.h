/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_READ_OWNER_H
#define WIREWHO_READ_OWNER_H
/*
 * The owners that stand in a capture of ours, read beside libpcap: libpcap reads the file through us, and for each packet
 * it gives we tell what the file says of its process.
 */
#include <stdio.h>
#include "attrib/process.h"
#include "pcapng.h"

struct read_owner;

struct read_note {
	unsigned direction;            /* PCAPNG_INBOUND, PCAPNG_OUTBOUND; 0: not said */
	const struct process *process; /* NULL: not said; times are ns since 1970 */
	enum owner_how how;            /* a file without comments does not say: the weakest */
};

/* *through reads what `file` has, and closes it. 0 or -errno; then `file` is still the caller's. */
int read_owner__open(struct read_owner **out, FILE *file, FILE **through);
void read_owner__close(struct read_owner *r); /* after *through was closed; NULL is fine */

/* Of the packet that libpcap gave last; to be asked for each packet once. */
struct read_note read_owner__next(struct read_owner *r, uint32_t length);
/* The process behind an owner that was in a note. */
const struct process *read_owner__process(const struct read_owner *r, const struct who *who);
#endif
