/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WATCH_H
#define WIREWHO_WATCH_H
/* The options that the live verbs share, and what they come to. */
#include "opt.h"
#include "pipeline.h"

struct watch_opts {
	struct opt_list interfaces, matches;
	int mode;
	uint64_t priority;   /* 0: not given */
	const char *actions; /* NULL: not given */
	uint64_t flows;
	int table; /* 0: ours, 1: the kernel's hash */
	bool verbose;
	const char *pin; /* a bpffs directory, or NULL */
	struct match match;
	char (*chosen)[16]; /* interfaces taken because none were named */
};

extern const char *const watch_modes[];
extern const char *const watch_tables[];

/* Of who counts in the kernel. */
#define TABLE_OPTS(w) \
	{ 0,          "flows", \
	  "N",        "flows each CPU and direction can hold at a time; default: 64 MiB in all", \
	  OPT_NUMBER, &(w)->flows, \
	  256,        1u << 24, \
	  NULL }, \
	{ \
		0, "table", "KIND", "count table: wirewho, or hash (the kernel's, slower)", \
			OPT_CHOICE, &(w)->table, 0, 0, watch_tables \
	}

#define WATCH_OPTS(w) \
	WATCH_OPTS_SAYING( \
		w, "count only what matches, as in 'tcp port 80'; several are or-ed", \
		"how received packets are counted: by XDP, native where the driver has it (auto), native or generic; or tc: later on " \
		"their way, with no XDP program, which spares a veth its segmentation offload")

/* The same with another help text for --match and --mode. */
#define WATCH_OPTS_SAYING(w, match_help, mode_help) \
	{ 'i',      "interface",      "IF", "watch this interface; may be given several times", \
	  OPT_LIST, &(w)->interfaces, 0,    0, \
	  NULL }, \
		{ 0, "match", "EXPR", match_help, OPT_LIST, &(w)->matches, 0, 0, NULL }, \
		{ 0, "mode", "MODE", mode_help, OPT_CHOICE, &(w)->mode, 0, 0, watch_modes }, \
		{ 0, \
		  "priority", \
		  "N", \
		  "place among other XDP programs, lower earlier; default: 50, and 1000 (last) for tap and inline", \
		  OPT_NUMBER, \
		  &(w)->priority, \
		  1, \
		  1u << 30, \
		  NULL }, \
		{ 0, \
		  "chain-actions", \
		  "LIST", \
		  "verdicts after which the next XDP program runs, by commas: aborted, drop, pass, tx, redirect; default: pass", \
		  OPT_TEXT, \
		  &(w)->actions, \
		  0, \
		  0, \
		  NULL }, \
		{ 0, \
		  "pin", \
		  "DIR", \
		  "pin programs and maps below DIR/wirewho, on a bpffs, for bpftool to look at", \
		  OPT_TEXT, \
		  &(w)->pin, \
		  0, \
		  0, \
		  NULL }, \
	{ \
		'v', "verbose", NULL, "say more, and show the libraries' own lines", OPT_FLAG, \
			&(w)->verbose, 0, 0, NULL \
	}

/* Checks and completes what was parsed (compiles the matches, chooses interfaces when none were named) and fills *out. 0,
 * or the exit code after the reason was said. */
int watch__prepare(struct watch_opts *w, struct pipeline_opts *out);
void watch__free(struct watch_opts *w);
#endif
