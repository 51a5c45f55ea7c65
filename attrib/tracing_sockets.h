/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACING_SOCKETS_H
#define WIREWHO_TRACING_SOCKETS_H
/*
 * What the tracers of sockets share: the filter by a socket's owner, as the owner programs have put it into the socket's
 * storage. `current` is not asked: it is anybody where a packet has arrived.
 */
#include "announce.h"
#include "ends.h"
#include "tracing.h"

static __always_inline bool filter__is_comm(const char *comm)
{
	const volatile __u64 *want = (const volatile __u64 *)filter.comm;
	const __u64 *have = (const __u64 *)comm;

	return have[0] == want[0] && have[1] == want[1];
}

static __always_inline bool filter__is_any(void)
{
	return !filter.pid && !filter.by_uid && !filter.by_comm && !filter.by_cgroup;
}

/* NULL: nobody is known. */
static __always_inline bool filter__takes_owner(const struct socket_owner *o)
{
	if (filter.pid && (!o || o->who.pid != filter.pid))
		return false;
	if (filter.by_uid && (!o || o->who.uid != filter.uid))
		return false;
	if (filter.by_comm && (!o || !filter__is_comm(o->who.comm)))
		return false;
	return !filter.by_cgroup || (o && o->watched);
}
#endif
