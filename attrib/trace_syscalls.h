/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_SYSCALLS_H
#define WIREWHO_TRACE_SYSCALLS_H
/* What the syscall tracer's programs count, for user space to take. */
#include "owner.h"

/* Numbers from here on are counted together: a program may call any number, and each would take a row. */
#define SYSCALL_OTHER 1023

struct syscall_key {
	__u64 start; /* of the process, ns since boot: with pid its identity */
	__u32 pid;
	__u16 nr;    /* at most SYSCALL_OTHER */
	__u16 error; /* --errors: the errno; else 0 */
	__u8 abi;    /* enum syscall_abi */
	__u8 pad[7];
};
flow_assert(sizeof(struct syscall_key) == 24, "syscall_key: no holes");

/* On one CPU. */
struct syscall_count {
	__u64 calls;    /* entered; --errors: failed */
	__u64 returned; /* --latency: of those entered while we watched */
	__u64 failed;   /* of those that returned */
	__u64 ns, ns_max;
	__u64 since;   /* when this row was made, CLOCK_MONOTONIC ns; 0: not on this CPU */
	char comm[16]; /* of the process then */
	__u32 uid;
	__u32 pad;
};
flow_assert(sizeof(struct syscall_count) == 72, "syscall_count: no holes");

/* Of one thread: the system call it is in. */
struct syscall_entry {
	__u64 time; /* 0: none that we saw begin */
	__u16 nr;
	__u8 abi;
	__u8 pad[5];
};
#endif
