/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_STATE_H
#define WIREWHO_TRACE_STATE_H
/* What the frame's own files share; tracers see trace.h alone. */
#include <bpf/libbpf.h>
#include "attrib/users.h"
#include "trace.h"

#define TRACE_LINKS 16
#define TRACE_TEXTS 4

struct trace {
	const struct trace_opts *opts;
	const struct tracer *tracer;
	void *self;

	struct trace_filter filter;
	int cgroup; /* fd of the directory, or -1 */

	struct bpf_link *link[TRACE_LINKS];
	unsigned links;
	struct bpf_program *program[TRACE_LINKS]; /* that hang there, or did */
	unsigned programs;
	struct ring_buffer *ring;
	int lost_map;

	FILE *file;
	const char *file_name;
	int err; /* the first one of the output: said */
	struct users *users;
	struct process_table *processes;
	uint64_t boot, offset; /* CLOCK_REALTIME ns at CLOCK_BOOTTIME 0 and CLOCK_MONOTONIC 0 */
	char *text[TRACE_TEXTS];
	unsigned texts;

	int epoll, signals, timer;
	uint64_t start, intervals, told, ticked;
	uint64_t events, lost_elsewhere;
	bool stop;
};

/* load.c */
void load__detach(struct trace *t);
/* write.c */
int write__open(struct trace *t);
int write__flush(struct trace *t);
int write__close(struct trace *t);
void write__end(struct trace *t);
void write__clocks(struct trace *t);
#endif
