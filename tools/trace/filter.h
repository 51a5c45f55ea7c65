/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_FILTER_H
#define WIREWHO_TRACE_FILTER_H
/* Whom a tracer looks at: -p, -u, --comm and --cgroup, all that are given. */
#include <stdbool.h>
#include <stdint.h>
#include "attrib/process.h"
#include "attrib/trace.h"
#include "tools/opt.h"

struct who_opts {
	uint64_t pid;                     /* 0: all */
	const char *user, *comm, *cgroup; /* NULL: all */
};

#define WHO_OPTS(w) \
	{ 'p', "pid", "PID", "only this process", OPT_NUMBER, &(w)->pid, 1, 1u << 22, NULL }, \
		{ 'u',      "user",     "USER", "only processes of this user, by name or number", \
		  OPT_TEXT, &(w)->user, 0,      0, \
		  NULL }, \
		{ 0,        "comm",     "NAME", "only processes of this name, as ps -o comm says", \
		  OPT_TEXT, &(w)->comm, 0,      0, \
		  NULL }, \
	{ \
		0, "cgroup", "PATH", "only processes in or below this cgroup", OPT_TEXT, \
			&(w)->cgroup, 0, 0, NULL \
	}

bool who_opts__any(const struct who_opts *o); /* is nobody left out? */
/*
 * Names become numbers. *cgroup: an fd of the directory, to be closed, or -1. 0; -EINVAL for what cannot be (said), else
 * -errno (said).
 */
int who_opts__take(const struct who_opts *o, struct trace_filter *f, int *cgroup);
/* For what could not be asked in the kernel. `p` NULL: nothing more is known of him. */
bool who_opts__takes(const struct who_opts *o, const struct trace_filter *f, const struct who *who,
		     const struct process *p);
#endif
