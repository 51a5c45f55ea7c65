// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench/cost: what counting one packet costs, in ns, by BPF_PROG_TEST_RUN: no driver, no stack, one CPU. All programs
 * take turns in every round, so that a noisy neighbour hits them alike; the medians are compared.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tools/opt.h"
#include "xdp/harvest.h"
#include "xdp/match.h"
#include "xdp/probe.h"
#include "xdp/say.h"
#include "bench/cost.skel.h" /* after the types it speaks of */

#define ROUNDS_MAX 64

static const char *const names[] = { "empty", "parse", "percpu_hash", "lru_hash", "ours" };
#define PROGRAMS (sizeof(names) / sizeof(*names))
enum { EMPTY, PARSE, PERCPU_HASH, LRU_HASH, OURS };

static const uint32_t flow_counts[] = { 1, 4096, 65536, 524288, 1048576 };
#define COUNTS (sizeof(flow_counts) / sizeof(*flow_counts))

struct options {
	uint64_t rounds, runs;
	const char *json;
};

struct setup {
	struct cost_bpf *skel;
	struct harvest *harvest;
	int fd[PROGRAMS];
};

struct figure {
	double ns[ROUNDS_MAX], median, low, high;
};

/* Ethernet, IPv4, TCP, 64 bytes on the wire with FCS: 60 here. */
static const unsigned char frame[60] = {
	2,    0, 0, 0,  0, 1, 2,    0, 0,  0, 0, 2, 8,    0,                       /* Ethernet */
	0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 6, 0, 0, 10,   0,    0, 1, 10, 0, 0, 2, /* IPv4 */
	4,    0, 0, 80, 0, 0, 0,    1, 0,  0, 0, 1, 0x50, 0x10, 1, 0, 0,  0, 0, 0, /* TCP */
};

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

static void on_found(void *to, const struct harvested *h)
{
	*(uint64_t *)to += h->count.packets;
}

static int setup__open(struct setup *s, uint32_t flows)
{
	struct harvest_size size = { .slots = flows < 65536 ? 131072 : flows * 2,
				     .overflow = 4096 };
	int err = harvest__open(&s->harvest, &size, "bench");
	char name[64];
	size_t i;

	if (err)
		return err;
	s->skel = cost_bpf__open();
	if (!s->skel)
		return -errno;
	s->skel->rodata->flows_mask = flows - 1;
	s->skel->rodata->look_inside = !probe__kernel_context();
	err = harvest__lend(s->harvest, s->skel->obj);
	if (!err)
		err = bpf_object__load(s->skel->obj);
	if (err)
		return fail(err, "run as root", "load the programs to measure");
	for (i = 0; i < PROGRAMS; i++) {
		snprintf(name, sizeof(name), "cost_%s", names[i]);
		s->fd[i] = bpf_program__fd(bpf_object__find_program_by_name(s->skel->obj, name));
	}
	return 0;
}

static void setup__close(struct setup *s)
{
	cost_bpf__destroy(s->skel);
	harvest__close(s->harvest);
}

static int run_once(int fd, uint32_t repeat, double *ns)
{
	unsigned char out[256];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .data_out = out, .data_size_out = sizeof(out), .repeat = repeat);

	if (bpf_prog_test_run_opts(fd, &opts))
		return fail(-errno, NULL, "run the program under test");
	*ns = opts.duration;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void figure__sort(struct figure *f, size_t n)
{
	qsort(f->ns, n, sizeof(*f->ns), by_value);
	f->median = n % 2 ? f->ns[n / 2] : (f->ns[n / 2 - 1] + f->ns[n / 2]) / 2;
	f->low = f->ns[0];
	f->high = f->ns[n - 1];
}

/* All programs in turn, round after round; the first lap fills tables and caches and is not counted. */
static int measure(struct setup *s, const struct options *o, uint32_t flows,
		   struct figure f[PROGRAMS])
{
	uint64_t seen = 0, r;
	double warm;
	size_t i;
	int err = 0;

	for (i = 0; i < PROGRAMS && !err; i++)
		err = run_once(s->fd[i], flows * 4 + 1000, &warm);
	if (!err)
		err = harvest__run(s->harvest, on_found,
				   &seen);   /* it sees how many flows there are */
	s->skel->data->multiplier = 1664525; /* Numerical Recipes, "an even quicker generator" */
	s->skel->data->increment = 1013904223;
	for (r = 0; r < o->rounds && !err; r++) {
		for (i = 0; i < PROGRAMS && !err; i++)
			err = run_once(s->fd[i], o->runs, &f[i].ns[r]);
		if (!err)
			err = harvest__run(s->harvest, on_found, &seen);
	}
	for (i = 0; i < PROGRAMS && !err; i++)
		figure__sort(&f[i], o->rounds);
	if (!err && seen != o->rounds * o->runs + flows * 4 + 1000) {
		say(SAY_ERROR, "ours counted %llu packets of %llu", (unsigned long long)seen,
		    (unsigned long long)(o->rounds * o->runs + flows * 4 + 1000));
		err = -EIO;
	}
	return err;
}

static void print_row(uint32_t flows, const struct figure f[PROGRAMS])
{
	size_t i;

	printf("%8u", flows);
	for (i = 0; i < PROGRAMS; i++)
		printf("  %5.0f (%3.0f-%4.0f)", f[i].median, f[i].low, f[i].high);
	printf("   %5.2f  %5.0f\n", f[OURS].median / f[PERCPU_HASH].median,
	       f[OURS].median - f[EMPTY].median);
}

static json_t *row_json(uint32_t flows, const struct figure f[PROGRAMS])
{
	json_t *row = json_pack("{s:i}", "flows", flows);
	size_t i;

	for (i = 0; i < PROGRAMS; i++)
		json_object_set_new(row, names[i],
				    json_pack("{s:f,s:f,s:f}", "median_ns", f[i].median, "min_ns",
					      f[i].low, "max_ns", f[i].high));
	json_object_set_new(row, "ours_to_percpu_hash",
			    json_real(f[OURS].median / f[PERCPU_HASH].median));
	json_object_set_new(row, "ours_over_empty_ns", json_real(f[OURS].median - f[EMPTY].median));
	return row;
}

static int run(const struct options *o, json_t *rows)
{
	struct figure f[PROGRAMS];
	struct setup s = {};
	size_t c;
	int err = 0;

	printf("%8s  %-16s  %-16s  %-16s  %-16s  %-16s  %s  %s\n", "flows", names[0], names[1],
	       names[2], names[3], names[4], "ours/percpu", "ours-empty");
	for (c = 0; c < COUNTS && !err; c++) {
		err = setup__open(&s, flow_counts[c]);
		if (!err)
			err = measure(&s, o, flow_counts[c], f);
		if (!err) {
			print_row(flow_counts[c], f);
			json_array_append_new(rows, row_json(flow_counts[c], f));
		}
		setup__close(&s);
		s = (struct setup){};
	}
	return err;
}

static const struct usage usage = {
	.program = ".build/bench/cost",
	.synopsis = "[--json FILE]",
	.about = "Cost of counting one packet in ns: median (min-max) over alternating rounds.",
};

int main(int argc, char **argv)
{
	struct options o = { .rounds = 7, .runs = 2000000 };
	const struct opt opts[] = {
		{ 0, "rounds", "N", "rounds (7)", OPT_NUMBER, &o.rounds, 1, ROUNDS_MAX, NULL },
		{ 0, "runs", "N", "packets a round and program (2M)", OPT_NUMBER, &o.runs, 1000,
		  100000000, NULL },
		{ 0, "json", "FILE", "write the figures to FILE too", OPT_TEXT, &o.json, 0, 0,
		  NULL },
		{},
	};
	json_t *rows = json_array();
	int first = opt__parse(argc, argv, &usage, opts), err;

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	libbpf_set_print(print);
	err = run(&o, rows);
	if (!err && o.json && json_dump_file(rows, o.json, JSON_INDENT(1))) {
		say(SAY_ERROR, "write %s: %s", o.json, strerror(errno));
		err = -EIO;
	}
	json_decref(rows);
	return err ? 1 : 0;
}
