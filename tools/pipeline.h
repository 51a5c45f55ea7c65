/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PIPELINE_H
#define WIREWHO_PIPELINE_H
/*
 * The live pipeline: harvest the tables, join with the owners, hand records to the outputs. One event loop (epoll,
 * signalfd, timerfd); nothing flows back up.
 */
#include <stdbool.h>
#include <stdint.h>
#include "tools/outputs/output.h"
#include "xdp/attach.h"
#include "xdp/match.h"

struct pipeline;

struct pipeline_opts {
	const char *const *ifname; /* what to watch */
	unsigned links;
	enum receive_mode mode;
	struct chain chain;
	uint64_t flows; /* slots a CPU and direction; 0: what fits into the default budget */
	bool hash;      /* the kernel's per-CPU hash as the table */
	const struct match *match; /* NULL: everything is counted */
	bool no_owners;            /* count only: no owner program is loaded */
	uint64_t interval_ms;      /* between records */
	uint64_t count;            /* end after so many intervals; 0: never */
	bool args;                 /* command lines, too */
};

/* Loads and attaches everything; on failure nothing stays attached and the reason was said. */
int pipeline__open(struct pipeline **out, const struct pipeline_opts *opts);
void pipeline__close(struct pipeline *p);

/* Takes an opened output over: the pipeline closes it, at the end of pipeline__run() or with itself. 0 or -E2BIG. */
int pipeline__take(struct pipeline *p, struct output *output);
/* Calls fn whenever fd is readable; a non-zero return of fn ends the run. */
typedef int (*pipeline_fn)(void *to);
int pipeline__watch(struct pipeline *p, int fd, pipeline_fn fn, void *to);

/* Until SIGINT, SIGTERM, the last interval, or an output that fails: then detach, take what is left, close the ledger.
 * Returns 0, or the first -errno of an output (said). */
int pipeline__run(struct pipeline *p);

void pipeline__stop(struct pipeline *p); /* as SIGTERM does */
/* The run is ending: what comes now is the remainder of an interval cut short. */
bool pipeline__stopping(const struct pipeline *p);

const struct run_facts *pipeline__facts(const struct pipeline *p);
/* The ledger so far; line[] stays valid until the next call. Exact at the end of the run, within a packet or two before. */
const struct ledger *pipeline__ledger(struct pipeline *p);
#endif
