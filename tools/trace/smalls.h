/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_SMALLS_H
#define WIREWHO_TRACE_SMALLS_H
/*
 * Connections that have no full socket: requests (SYN_RECV, before) and time-wait sockets (FIN_WAIT2 and TIME_WAIT, after).
 * No hook tells when these change, so the kernel's own list of them is looked through: ten times a second while a peer's
 * FIN is awaited, else once, and never so often that it takes more than a twentieth of a CPU. Nothing is looked for
 * while none is remembered.
 *
 * A network namespace other than ours is entered for the look, through a process that lives there or by the name that it
 * has in /run/netns: no descriptor of it is kept, so that it can end.
 */
#include "attrib/trace_tcp.h"

struct smalls;

/* A connection without full socket has changed: `to` STATE_CLOSE when it is gone. `time`: when that was found. */
typedef void (*small_fn)(void *arg, const struct trace_tcp_event *e, __u64 since, __u8 from,
			 __u8 to, __u64 time);

/* `iter`: fd of the program tcp_small_sockets. 0 or -errno (said). */
int smalls__open(struct smalls **out, int iter, small_fn fn, void *arg);
void smalls__close(struct smalls *s);

/* From now on it is looked after. `e` is its last event. 0 or -errno: it is not, and smalls__missed() counts it. */
int smalls__add(struct smalls *s, const struct trace_tcp_event *e, __u8 state, __u64 since);
/* When it entered its state, and forgets it; *last (may be NULL) is its last event. 0: it was not known (in that state). */
__u64 smalls__take(struct smalls *s, const struct flow_key *key, __u64 netns, __u8 state,
		   struct trace_tcp_event *last);
void smalls__look(struct smalls *s, __u64 now);
/* Those that could not be looked after: too many, or in a namespace that could not be entered. */
__u64 smalls__missed(const struct smalls *s);
#endif
