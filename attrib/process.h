/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PROCESS_H
#define WIREWHO_PROCESS_H
/*
 * The process table: names, users and containers of the processes that own sockets, by (pid, start). A process that
 * ended stays for a while, so that its last packets have a name.
 */
#include <stddef.h>
#include <stdint.h>
#include "container.h"
#include "owner.h"

struct process {
	struct who who;
	uint32_t parent;            /* 0: not known */
	const char *exe;            /* path, or NULL where it could not be read in time */
	const char *user;           /* name, or NULL where the uid has none */
	const char *cgroup;         /* path below the cgroup2 root, or NULL */
	const char *container;      /* id, or NULL */
	struct placement placement; /* what else the cgroup says; its container is the one above */
	char *args; /* the command line, each argument ended by a zero; NULL: not asked for */
	size_t args_size;
	uint64_t ended; /* CLOCK_MONOTONIC ns, 0 while it runs */
};

struct process_table;

int process_table__open(struct process_table **out);
void process_table__close(struct process_table *t);
/* From here on command lines are read, too, up to 4 KiB each: they may hold secrets. */
void process_table__read_args(struct process_table *t);

/*
 * The process behind `who`; made (and read from /proc, if it still lives and starts at the same time) when new; ended
 * is then set where it does not live any more. NULL without memory, or with 65536 known already. Valid until
 * process_table__tick() drops it.
 */
const struct process *process_table__get(struct process_table *t, const struct who *who);
/* The same with the name that it has now, looked up once between two ticks: it may change without an exec. */
const struct process *process_table__now(struct process_table *t, const struct who *who);
/* Takes exec, exit and owner events in. */
void process_table__event(struct process_table *t, const struct owner_event *e);
/* Forgets processes that ended more than a minute before `now` (CLOCK_MONOTONIC ns), or nobody asked for in ten. */
void process_table__tick(struct process_table *t, uint64_t now);
#endif
