/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_CONTRACT_H
#define WIREWHO_TRACE_CONTRACT_H
/*
 * What all tracers share between kernel and user side: whom to look at. Each trace_NAME.bpf.c has one of it, in .rodata,
 * called `filter`; its programs decide by it before they write anything (tracing.h).
 */
#include "owner.h"

struct trace_filter {
	__u32 pid; /* thread group id; 0: any */
	__u32 uid; /* effective; with by_uid */
	__u8 by_uid;
	__u8 by_comm;
	__u8 by_cgroup; /* in or below the one cgroup in map trace_cgroup */
	__u8 pad[5];
	char comm[16]; /* of the thread group's leader, zero-filled */
};
flow_assert(sizeof(struct trace_filter) == 32, "trace_filter: no holes");
#endif
