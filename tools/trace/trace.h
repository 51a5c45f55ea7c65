/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_H
#define WIREWHO_TRACE_H
/*
 * The frame of all tracers: common options, loading and attaching, the event loop, lines for people, JSON records. A
 * tracer is one file with a struct tracer and an entry function; its BPF programs include attrib/tracing.h.
 *
 *     int trace_exec(int argc, char **argv)
 *     {
 *             struct exec e = { 0 };
 *             const struct opt opts[] = { { ...its own... }, TRACE_OPTS(&e.opts), { 0 } };
 *             int code = trace__parse(&e.opts, argc, argv, &usage, opts);
 *
 *             return code < 0 ? trace__run(&e.opts, &tracer, &e) : code;
 *     }
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "attrib/process.h"
#include "attrib/trace.h"
#include "filter.h"
#include "tools/opt.h"

struct bpf_object;
struct trace;

struct trace_opts {
	const char *jsonl; /* NULL: lines for people on standard output */
	struct who_opts whom;
	const char *pin; /* a bpffs directory, or NULL */
	bool verbose;
	unsigned long long interval, count; /* seconds, and how many of them; 0: none, and no end */
};

#define TRACE_OPTS(t) \
	WHO_OPTS(&(t)->whom), \
		{ 0,        "jsonl", \
		  "FILE",   "write JSON lines to FILE, or to stdout with -, instead of text", \
		  OPT_TEXT, &(t)->jsonl, \
		  0,        0, \
		  NULL }, \
		{ 0, \
		  "pin", \
		  "DIR", \
		  "pin programs and maps below DIR/wirewho, on a bpffs, for bpftool to look at", \
		  OPT_TEXT, \
		  &(t)->pin, \
		  0, \
		  0, \
		  NULL }, \
	{ \
		'v', "verbose", NULL, "say more, and show the libraries' own lines", OPT_FLAG, \
			&(t)->verbose, 0, 0, NULL \
	}

struct tracer {
	const char *name; /* "exec": as on the command line, and in records */
	const char *what; /* "execs": in messages */
	/* Opens its programs, trace__load(), prints its header line. 0 or -errno (said); close() follows even then. */
	int (*open)(void *self, struct trace *t);
	/* Before each batch of events, at least ten times a second: what else is to be read first. NULL: nothing. */
	void (*look)(void *self, uint64_t now);
	/* One event of the ring buffer. NULL: this tracer has no events. */
	void (*event)(void *self, const void *data, size_t size);
	/* An event of the ring is not one of those that are told: trace__add_events() says how many there were. */
	bool counts;
	/* Once a second: to take what must not pile up in the kernel. NULL: nothing. 0 or -errno (said). */
	int (*tick)(void *self);
	/* The end of an interval, and of the run: `last`, when nothing is attached any more. NULL: the frame says how
	 * many events there were. 0 or -errno (said), which ends the run. */
	int (*interval)(void *self, bool last);
	/* After the last interval(): to say, and add, what was lost. NULL: nothing. */
	void (*end)(void *self);
	void (*close)(void *self);
};

/* Parses and checks options and [interval [count]]. -1: go on; else the exit code. */
int trace__parse(struct trace_opts *o, int argc, char **argv, const struct usage *usage,
		 const struct opt *opts);
/* Until SIGINT, SIGTERM, SIGHUP, the last interval or a failing output; the exit code. At the end it says "N events, M lost". */
int trace__run(const struct trace_opts *o, const struct tracer *tracer, void *self);

/* ---- for open() ---- */

/*
 * What hangs where. `instead` are other programs of the object, taken (those that can be) where this kernel lacks the first
 * one's hook; that is said. If none is there: `loss` says what goes missing (a note), NULL means that it cannot do without
 * (an error).
 */
#define TRACE_INSTEAD 2
struct trace_hook {
	const char *program;
	const char *instead[TRACE_INSTEAD]; /* NULL: no more */
	const char *loss;
	bool off; /* not asked for: neither loaded nor attached */
};

/* For `filter` in the skeleton's rodata. */
const struct trace_filter *trace__filter(const struct trace *t);
/* For what the kernel could not be asked. */
bool trace__takes(struct trace *t, const struct who *who);
/* The id of what --cgroup names; 0: not given. */
uint64_t trace__cgroup_id(const struct trace *t);
/*
 * Loads the object with these programs alone, and attaches them. The ring buffer gets its size, the cgroup filter its
 * cgroup. Links are closed before the last interval(); the object is the caller's. 0 or -errno (said).
 */
int trace__load(struct trace *t, struct bpf_object *obj, const struct trace_hook *hook, size_t n);

/* ---- output ---- */

/* Where lines for people go; NULL when JSON lines are written. Flushed by the frame after each batch of events. */
FILE *trace__out(const struct trace *t);
/* "14:03:27.123": the local time of an event, from CLOCK_MONOTONIC ns. Returns `text`. */
#define TRACE_CLOCK_SIZE 16
char *trace__clock(const struct trace *t, uint64_t ns, char text[TRACE_CLOCK_SIZE]);
/* The user's name, or the number as text. Valid until the next call. */
const char *trace__user(struct trace *t, uint32_t uid);
/* Up to n bytes as text for a terminal: no control bytes, nothing invalid. Valid until the fourth next call. */
const char *trace__text(struct trace *t, const char *bytes, size_t n);

/*
 * A record as all tracers write it: @timestamp, event.kind "event", event.action, process, user, container. `ns`:
 * CLOCK_MONOTONIC; `who` NULL: nobody known; `parent` 0 and `exe` NULL: not known. The caller adds its own fields. NULL without memory.
 */
json_t *trace__record(struct trace *t, uint64_t ns, const char *action, const struct who *who,
		      uint32_t parent, const char *exe);
/* A record of sums: event.kind "metric", event.start, event.end (CLOCK_MONOTONIC ns). */
json_t *trace__metric(struct trace *t, uint64_t start, uint64_t end);
json_t *trace__process_json(struct trace *t, const struct who *who);
json_t *trace__user_json(struct trace *t, uint32_t uid);
/* Adds {name: value} below "wirewho" of a record. Takes the reference; a NULL is left out. */
void trace__add(json_t *record, const char *name, json_t *value);
/* Adds event.start, event.end and event.duration (ns). Times are CLOCK_MONOTONIC ns. */
void trace__add_times(const struct trace *t, json_t *record, uint64_t start, uint64_t end);
/* Takes the reference. Errors end the run, and are said once. NULL: no memory. */
void trace__write(struct trace *t, json_t *record);
uint64_t trace__now(void);                               /* CLOCK_MONOTONIC ns, as events have it */
json_t *trace__time(const struct trace *t, uint64_t ns); /* of a CLOCK_MONOTONIC time */
/* CLOCK_REALTIME ns of a CLOCK_MONOTONIC time. */
uint64_t trace__realtime(const struct trace *t, uint64_t ns);

/* What is known of a process from /proc: container, cgroup. May be NULL; exe is of the time it was first asked for. */
const struct process *trace__process(struct trace *t, const struct who *who);
/* Takes the owner programs' events in: who ran what, so that a process that has ended keeps its name. */
void trace__owner_event(struct trace *t, const struct owner_event *e);
uint64_t trace__lost(const struct trace *t); /* events that found the ring buffer full */
/* Says how many events there were so far. 0. */
int trace__tell_count(const struct trace *t);
/* For what a tracer counts, or loses, elsewhere than in the ring buffer: added to what the end says. */
void trace__add_events(struct trace *t, uint64_t n);
void trace__add_lost(struct trace *t, uint64_t n);
#endif
