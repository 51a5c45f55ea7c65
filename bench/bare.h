/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_BARE_H
#define WIREWHO_BARE_H
/*
 * The measure of the engine: a program that redirects every frame, and a loop that receives in batches of 64 and drops, as
 * the kernel's own example does (xdpsock -r): 4096 frames of 4096 bytes, the fill ring as long, copy mode, need_wakeup,
 * and the thread never sleeps.
 */
#include <stdbool.h>
#include <stdint.h>
#include "af_xdp/socket.h"

struct bare;

/* Attaches to `ifname` and starts the loop on `cpu`. 0 or -errno (said). */
int bare__open(struct bare **out, const char *ifname, unsigned cpu);
/* Detaches, then empties the ring. Returns the frames received; *stats are the socket's own counters. */
uint64_t bare__stop(struct bare *b, struct xdp_statistics *stats);
void bare__close(struct bare *b); /* NULL is fine */
#endif
