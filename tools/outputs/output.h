/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_OUTPUT_H
#define WIREWHO_OUTPUT_H
/*
 * Outputs: small objects that take flow records and, at the end, the ledger. A new output is one more file with one
 * struct output_kind, and one more row in output.c.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "attrib/join.h"
#include "attrib/process.h"
#include "tools/driver.h"
#include "xdp/flow.h"

/* What an output may need to know of the run; lives longer than the output. */
struct run_facts {
	const char *const *ifname; /* by link number; "" offline */
	unsigned links;
	bool live;                       /* the source of an oriented key is the local end */
	const char *file;                /* offline: what is read; else NULL */
	bool owned;                      /* offline: the file names owners */
	struct process_table *processes; /* NULL offline */
};

/* One record: a flow over a stretch of time, with its owner. Times are CLOCK_REALTIME ns. */
struct flow_record {
	const struct flow_view *flow;
	uint64_t now, start, end;
	const struct process *process; /* NULL: nobody known */
	const struct process *peer; /* the other end's, where it is on this host too; else NULL */
};

/* One interface's sums for both directions at the end. */
struct ledger_line {
	const char *ifname;
	const char *direction; /* "receive" or "transmit"; offline "read" */
	struct tally tally;
	const char *attach;         /* "native, direct", ...; "" where it does not apply */
	bool has_driver;            /* false offline */
	struct driver_range driver; /* what the driver itself counted meanwhile (ip -s link) */
	struct tally *cpu;          /* the same a CPU; cpus 0 offline */
	int cpus;
};

/* How often all sockets there are were asked; and what the first time found, and took. */
struct snapshots {
	uint64_t taken;
	uint64_t sockets, owners; /* open, and processes that held them */
	uint64_t ns;
};

struct ledger {
	uint64_t start, end, now; /* CLOCK_REALTIME ns */
	const struct ledger_line *line;
	unsigned lines;
	struct count by_how[OWNER_HOW_N]; /* packets and bytes by quality of attribution */
	uint64_t owner_events_lost;
	struct snapshots snapshots;
	uint64_t join_failed_packets; /* counted in the table, but no memory for the flow */
};

/* The sum of everything that names a frame. */
struct count tally__named(const struct tally *t);
/* seen minus the sum of everything that names a frame: 0 when the ledger closes. */
int64_t ledger_line__difference(const struct ledger_line *l);
int64_t ledger_line__difference_bytes(const struct ledger_line *l);

/* Names of the ledger's rows, by enum reason, enum sample and enum owner_how. */
extern const char *const reason_names[REASON_N];
extern const char *const sample_names[SAMPLE_N];
extern const char *const owner_how_names[OWNER_HOW_N];

/* One line of it: how owners were known, in shares of packets and bytes; nothing where none is known. */
void ledger__print_owners(const struct ledger *l, FILE *to);
/* The ledger for people: a line for each interface and direction, zeros left out. Returns 0 or -errno of the write. */
int ledger__print(const struct ledger *l, FILE *to);

/*
 * Which end of a flow a record calls its source: the end that opened it, else the one with the higher port. True: the
 * source of the oriented key.
 */
bool flow_view__source_opened(const struct flow_view *v);

/*
 * A stream of the caller's own over standard output: nobody else's text gets between, and its errors are the caller's
 * to tell. NULL with errno.
 */
FILE *output__stdout(void);

struct output;

struct output_kind {
	const char *name;
	int (*open)(struct output **out, const char *arg, const struct run_facts *facts);
	int (*flow)(struct output *o, const struct flow_record *r); /* 0 or -errno (said once) */
	int (*flush)(struct output *o);                             /* end of one interval */
	int (*ledger)(struct output *o, const struct ledger *l);
	int (*close)(struct output *o);
};

struct output {
	const struct output_kind *kind;
};

extern const struct output_kind output_jsonl;
/* One sorted table at the end, on standard output, and the ledger on stderr: for a run that reports each flow once. */
extern const struct output_kind output_table;

/* Those that a run may choose by name; ends with NULL. */
extern const struct output_kind *const output_kinds[];
#endif
