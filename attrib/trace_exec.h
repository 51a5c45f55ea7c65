/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_EXEC_H
#define WIREWHO_TRACE_EXEC_H
/* What the exec tracer's programs tell user space: an exec, an exec that failed, the end of a process. */
#include "owner.h"

#define TRACE_FILE 1024 /* bytes of a file's name that are kept */
#define TRACE_ARGS 4096 /* bytes of arguments that are kept, their zeros included */

enum trace_exec_kind { TRACE_EXEC = 1, TRACE_EXEC_FAILED, TRACE_EXIT };

struct trace_exec_event {
	__u64 time;        /* CLOCK_MONOTONIC ns */
	struct who who;    /* after the exec; of one that failed: who tried */
	struct who parent; /* without its cgroup */
	__u64 lived;       /* ns since the process started: TRACE_EXIT */
	__s32 result;      /* 0 or -errno; TRACE_EXIT: the status as wait(2) has it */
	__u32 args_size;   /* bytes in args[]: each argument with its zero */
	__u8 kind;         /* enum trace_exec_kind */
	__u8 file_known;   /* 0: it could not be read */
	__u8 file_cut;     /* it was longer */
	__u8 args_known;   /* 0: not asked for, or they could not be read */
	__u8 args_cut;     /* there were more */
	__u8 pad[3];
	char file[TRACE_FILE]; /* as it was given to execve(2), with its zero */
	char args[];           /* TRACE_ARGS bytes, or none */
};
flow_assert(sizeof(struct trace_exec_event) == 112 + TRACE_FILE, "trace_exec_event: no holes");
#endif
