// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench/cost: what counting one packet costs, in ns, by BPF_PROG_TEST_RUN: no driver, no stack, one CPU. The programs
 * take turns in short slices, so that a noisy neighbour hits them alike; a round is the mean of its slices. Programs are
 * compared within each round, and what is printed is the median over the rounds: of the ns, and of the comparisons.
 *
 * What many flows cost is what memory costs, so between the programs a chain of loads is followed through as much memory
 * as the slots of the table take, in pages of the same size: a load that waits for the one before it. A table that
 * waits for each packet's slot cannot be cheaper than that.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include "generator.h"
#include "room.h"
#include "tools/opt.h"
#include "xdp/harvest.h"
#include "xdp/match.h"
#include "xdp/probe.h"
#include "xdp/say.h"
#include "bench/cost.skel.h" /* after the types it speaks of */

#define ROUNDS_MAX MIDDLE_MOST
#define SLICES 5
#define CACHE_LINE 64
#define CHASE 100000 /* loads a slice */

static const char *const names[] = { "empty", "parse", "percpu_hash", "lru_hash", "ours" };
#define PROGRAMS (sizeof(names) / sizeof(*names))
enum { EMPTY, PARSE, PERCPU_HASH, LRU_HASH, OURS };

static const uint32_t flow_counts[] = { 1, 4096, 65536, 524288, 1048576 };
#define COUNTS (sizeof(flow_counts) / sizeof(*flow_counts))

struct options {
	uint64_t rounds, runs, cpu;
	const char *json;
};

/* Memory whose lines point to each other, all in one circle. */
struct chase {
	void **at, **next;
	size_t bytes;
};

struct setup {
	struct cost_bpf *skel;
	struct harvest *harvest;
	struct chase chase;
	int fd[PROGRAMS];
};

/* All by round. */
struct figures {
	double ns[PROGRAMS][ROUNDS_MAX];
	double miss[ROUNDS_MAX];     /* ns a load */
	double to_hash[ROUNDS_MAX];  /* ours, as a part of percpu_hash */
	double to_empty[ROUNDS_MAX]; /* ours, ns over empty */
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

/* Sattolo's shuffle: a permutation that is one circle. */
static int chase__open(struct chase *c, size_t bytes)
{
	size_t lines = bytes / CACHE_LINE, step = CACHE_LINE / sizeof(void *), i, j, *order;

	order = calloc(lines, sizeof(*order));
	c->at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!order || c->at == MAP_FAILED) {
		free(order);
		c->at = NULL;
		return -ENOMEM;
	}
	c->bytes = bytes;
	c->next = c->at;
	madvise(c->at, bytes, MADV_NOHUGEPAGE); /* a map's memory lies in small pages */
	for (i = 0; i < lines; i++)
		order[i] = i;
	for (i = lines - 1; i; i--) {
		size_t other = (size_t)random() % i, kept = order[i];

		order[i] = order[other];
		order[other] = kept;
	}
	for (i = 0; i < lines; i++) {
		j = order[i] * step;
		c->at[i * step] = &c->at[j];
	}
	free(order);
	return 0;
}

static void chase__close(struct chase *c)
{
	if (c->at)
		munmap(c->at, c->bytes);
}

/* ns a load, each of which needs the one before. */
static double chase__run(struct chase *c)
{
	struct timespec from, to;
	void **at = c->next;
	int i;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < CHASE; i++)
		at = *at;
	clock_gettime(CLOCK_MONOTONIC, &to);
	c->next = *(void **volatile *)&at;
	return ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / CHASE;
}

static int setup__open(struct setup *s, uint32_t flows)
{
	struct harvest_size size = { .slots = flows < 65536 ? 131072 : flows * 2,
				     .overflow = 4096 };
	int err = harvest__open(&s->harvest, &size, "bench");
	char name[64];
	size_t i;

	if (!err)
		err = chase__open(&s->chase, (size_t)size.slots * sizeof(struct slot4));
	if (err)
		return err;
	s->skel = cost_bpf__open();
	if (!s->skel)
		return -errno;
	s->skel->rodata->flows_mask = flows - 1;
	s->skel->rodata->look_inside = !probe__kernel_context();
	err = harvest__lend(s->harvest, s->skel->obj);
	if (!err)
		err = cost_bpf__load(
			s->skel); /* from here on skel->data is what the programs see */
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
	chase__close(&s->chase);
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

/* The first lap fills the tables, and is not counted. Only then the order becomes one that no prefetcher guesses. */
static int warm_up(struct setup *s, uint64_t runs)
{
	double ns;
	size_t i;
	int err = 0;

	for (i = 0; i < PROGRAMS && !err; i++)
		err = run_once(s->fd[i], runs, &ns);
	s->skel->data->multiplier = 1664525; /* Numerical Recipes, "an even quicker generator" */
	s->skel->data->increment = 1013904223;
	return err;
}

static int run_round(struct setup *s, uint64_t runs, struct figures *f, size_t round)
{
	int slice, err = 0;
	size_t i;
	double ns;

	f->miss[round] = 0;
	for (i = 0; i < PROGRAMS; i++)
		f->ns[i][round] = 0;
	for (slice = 0; slice < SLICES && !err; slice++) {
		for (i = 0; i < PROGRAMS && !err; i++) {
			err = run_once(s->fd[i], runs, &ns);
			f->ns[i][round] += ns / SLICES;
		}
		f->miss[round] += chase__run(&s->chase) / SLICES;
	}
	f->to_hash[round] = f->ns[OURS][round] / f->ns[PERCPU_HASH][round];
	f->to_empty[round] = f->ns[OURS][round] - f->ns[EMPTY][round];
	return err;
}

static int measure(struct setup *s, const struct options *o, uint32_t flows, struct figures *f)
{
	uint64_t warm = flows * 4ull + 1000, slice = o->runs / SLICES, seen = 0, sent, r;
	int err = warm_up(s, warm);

	if (!err) /* it sees how many flows there are */
		err = harvest__run(s->harvest, on_found, &seen);
	for (r = 0; r < o->rounds && !err; r++) {
		err = run_round(s, slice, f, r);
		if (!err)
			err = harvest__run(s->harvest, on_found, &seen);
	}
	sent = warm + o->rounds * SLICES * slice;
	if (!err && seen != sent) {
		say(SAY_ERROR, "ours counted %llu packets of %llu", (unsigned long long)seen,
		    (unsigned long long)sent);
		err = -EIO;
	}
	return err;
}

static void print_row(uint32_t flows, const struct figures *f, size_t rounds)
{
	struct middle m;
	size_t i;

	printf("%8u", flows);
	for (i = 0; i < PROGRAMS; i++) {
		m = middle(f->ns[i], rounds);
		printf("  %5.0f (%3.0f-%4.0f)", m.median, m.low, m.high);
	}
	m = middle(f->to_hash, rounds);
	printf("   %5.2f (%4.2f-%4.2f)  %5.0f  %9.0f\n", m.median, m.low, m.high,
	       middle(f->to_empty, rounds).median, middle(f->miss, rounds).median);
}

static json_t *row_json(uint32_t flows, const struct figures *f, size_t rounds)
{
	json_t *row = json_pack("{s:i}", "flows", flows);
	struct middle m;
	size_t i;

	for (i = 0; i < PROGRAMS; i++) {
		m = middle(f->ns[i], rounds);
		json_object_set_new(row, names[i],
				    json_pack("{s:f,s:f,s:f}", "median_ns", m.median, "min_ns",
					      m.low, "max_ns", m.high));
	}
	json_object_set_new(row, "ours_to_percpu_hash",
			    json_real(middle(f->to_hash, rounds).median));
	json_object_set_new(row, "ours_over_empty_ns",
			    json_real(middle(f->to_empty, rounds).median));
	json_object_set_new(row, "miss_ns", json_real(middle(f->miss, rounds).median));
	return row;
}

static int run(const struct options *o, json_t *rows)
{
	struct figures f;
	struct setup s = {};
	size_t c;
	int err = 0;

	printf("CPU %llu at priority -20; ns: median (min-max) of %llu rounds of %llu packets a program; miss: a load from as\n"
	       "much memory as the table's slots take, that needs the load before\n",
	       (unsigned long long)o->cpu, (unsigned long long)o->rounds,
	       (unsigned long long)o->runs);
	printf("%8s  %-16s  %-16s  %-16s  %-16s  %-16s  %-18s  %s  %s\n", "flows", names[0],
	       names[1], names[2], names[3], names[4], "ours/percpu", "ours-empty", "miss");
	for (c = 0; c < COUNTS && !err; c++) {
		err = setup__open(&s, flow_counts[c]);
		if (!err)
			err = measure(&s, o, flow_counts[c], &f);
		if (!err) {
			print_row(flow_counts[c], &f, o->rounds);
			json_array_append_new(rows, row_json(flow_counts[c], &f, o->rounds));
		}
		setup__close(&s);
		s = (struct setup){};
	}
	return err;
}

static const struct usage usage = {
	.program = ".build/bench/cost",
	.synopsis = "[--json FILE]",
	.about =
		"Cost of counting one packet in ns, without driver and stack: programs in turn, on one CPU.",
};

int main(int argc, char **argv)
{
	struct options o = { .rounds = 7, .runs = 2000000 };
	const struct opt opts[] = {
		{ 0, "rounds", "N", "rounds (7)", OPT_NUMBER, &o.rounds, 1, ROUNDS_MAX, NULL },
		{ 0, "runs", "N", "packets a round and program (2M)", OPT_NUMBER, &o.runs, 1000,
		  100000000, NULL },
		{ 0, "cpu", "N", "run on this CPU (0)", OPT_NUMBER, &o.cpu, 0, 1023, NULL },
		{ 0, "json", "FILE", "write the figures to FILE too", OPT_TEXT, &o.json, 0, 0,
		  NULL },
		{},
	};
	json_t *rows = json_array();
	int first = opt__parse(argc, argv, &usage, opts), err;

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	setlinebuf(stdout);
	libbpf_set_print(print);
	err = generator__pin(o.cpu);
	if (!err && setpriority(PRIO_PROCESS, 0, -20))
		err = fail(-errno, "run as root", "raise the priority");
	if (!err)
		err = run(&o, rows);
	if (!err && o.json && json_dump_file(rows, o.json, JSON_INDENT(1))) {
		say(SAY_ERROR, "write %s: %s", o.json, strerror(errno));
		err = -EIO;
	}
	json_decref(rows);
	return err ? 1 : 0;
}
