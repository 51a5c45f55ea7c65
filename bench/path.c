// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench/path: packets a second through a whole path: live frames from one CPU, a veth pair, native XDP at the other end,
 * and there a program that drops them: at once, after the kernel's per-CPU hash, after the meter. The first is the
 * path's own speed, and the others are given as parts of it. Sender and receiver share one CPU, so each ns of a program
 * shows. The programs take turns in short slices, so that a noisy neighbour hits them alike; a round is the sum
 * of its slices. After each slice whoever counted must have counted what the driver says it received.
 *
 * The network namespace it runs in is its own and has no name: it is gone when the bench ends, however it ends.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "generator.h"
#include "room.h"
#include "tools/opt.h"
#include "xdp/harvest.h"
#include "xdp/match.h"
#include "xdp/probe.h"
#include "xdp/say.h"
#include "bench/path.skel.h" /* after the types it speaks of */

#define ROUNDS_MAX MIDDLE_MOST
#define SLICES 5
#define OUT_END "bench-out"
#define IN_END "bench-in"
#define SLOTS 131072 /* as `wirewho run` has on two CPUs with its default budget */
#define RECORDS 16384
#define WARM_UP 65536

/* The first is the generator alone: it drops its own frames, and there is no path. */
#define PROGRAMS(X) X(ALONE, "alone") X(DROP, "drop") X(PERCPU_HASH, "percpu_hash") X(OURS, "ours")

enum {
#define X(id, name) id,
	PROGRAMS(X)
#undef X
		PROGRAM_N
};

static const char *const names[] = {
#define X(id, name) name,
	PROGRAMS(X)
#undef X
};

#define COUNTS_MAX 16

struct options {
	uint64_t rounds, slice, size, cpu;
	bool ip6;
	const char *json;
	struct opt_list flows;
	uint32_t count[COUNTS_MAX];
	size_t counts;
};

struct setup {
	const struct options *opts;
	struct path_bpf *skel;
	struct harvest *harvest;
	struct generator *generator, *alone;
	int link, fd[PROGRAM_N];
};

struct sum {
	uint64_t packets;
	double seconds;
};

/* Packets a second, and as a part of what `drop` reached in the same round. */
struct figure {
	double pps[ROUNDS_MAX], part[ROUNDS_MAX];
};

/* ---- the path ---- */

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

static int load(struct setup *s)
{
	struct bpf_program *p;
	int err;

	s->skel = path_bpf__open();
	if (!s->skel)
		return -errno;
	s->skel->rodata->look_inside = !probe__kernel_context();
	bpf_object__for_each_program(p, s->skel->obj)
		bpf_program__set_autoload(p, !strncmp(bpf_program__name(p), "path_", 5));
	bpf_map__set_max_entries(s->skel->maps.percpu_hash, SLOTS);
	bpf_map__set_max_entries(s->skel->maps.lru_hash, 1);
	err = harvest__lend(s->harvest, s->skel->obj);
	if (!err)
		err = path_bpf__load(s->skel);
	if (err)
		return fail(err, "run as root", "load the programs to measure");
	s->fd[DROP] = bpf_program__fd(s->skel->progs.path_drop);
	s->fd[PERCPU_HASH] = bpf_program__fd(s->skel->progs.path_percpu_hash);
	s->fd[OURS] = bpf_program__fd(s->skel->progs.path_ours);
	return 0;
}

static int attach(struct setup *s)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);

	s->link = bpf_link_create(s->fd[DROP], if_nametoindex(IN_END), BPF_XDP, &opts);
	return s->link < 0 ? fail(-errno, NULL, "attach XDP to %s (native)", IN_END) : 0;
}

static int open_generators(struct setup *s, uint32_t flows)
{
	struct generator_opts opts = {
		.ifname = OUT_END, .flows = flows, .size = s->opts->size, .ip6 = s->opts->ip6
	};
	int err = generator__open(&s->generator, &opts);

	opts.alone = true;
	return err ? err : generator__open(&s->alone, &opts);
}

static int setup__open(struct setup *s, const struct options *o, uint32_t flows)
{
	/* There are half as many slots for IPv6. */
	struct harvest_size size = { .slots = o->ip6 ? SLOTS * 2 : SLOTS, .overflow = RECORDS };
	int err;

	*s = (struct setup){ .opts = o, .link = -1 };
	err = harvest__open(&s->harvest, &size, "bench");
	if (!err)
		err = load(s);
	if (!err)
		err = attach(s);
	return err ? err : open_generators(s, flows);
}

static void setup__close(struct setup *s)
{
	generator__close(s->generator);
	generator__close(s->alone);
	if (s->link >= 0)
		close(s->link);
	path_bpf__destroy(s->skel);
	harvest__close(s->harvest);
}

/* ---- what was counted ---- */

static void on_found(void *to, const struct harvested *h)
{
	*(uint64_t *)to += h->count.packets;
}

/* Since the last time, and everything on the sender's CPU: `elsewhere` is what was not. */
static int count_ours(struct setup *s, uint64_t *counted, uint64_t *elsewhere)
{
	struct tally all, here;
	uint64_t found = 0;
	int err = harvest__run(s->harvest, on_found, &found);

	harvest__tally(s->harvest, 0, -1, &all);
	harvest__tally(s->harvest, 0, s->opts->cpu, &here);
	*counted += found;
	*elsewhere = all.seen.packets - here.seen.packets;
	return err;
}

/* The whole map: 0 or -errno. */
static int count_hash(struct setup *s, uint64_t *counted)
{
	int fd = bpf_map__fd(s->skel->maps.percpu_hash), cpu, cpus = libbpf_num_possible_cpus();
	struct hash_count *value = calloc(cpus, sizeof(*value));
	struct flow_key key, *last = NULL;
	uint64_t sum = 0;

	if (!value)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, last, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, value))
			for (cpu = 0; cpu < cpus; cpu++)
				sum += value[cpu].count.packets;
		last = &key;
	}
	free(value);
	*counted = sum;
	return 0;
}

/* ---- measuring ---- */

struct counts {
	uint64_t arrived[PROGRAM_N], counted[PROGRAM_N], lost, elsewhere;
};

static int run_slice(struct setup *s, int program, struct sum *sum, struct counts *c)
{
	struct generator *g = program == ALONE ? s->alone : s->generator;
	double seconds = s->opts->slice / 1e3;
	struct generated warm, sent;
	uint64_t before, after;
	int err;

	if (program != ALONE && bpf_link_update(s->link, s->fd[program], NULL))
		return fail(-errno, NULL, "attach %s to %s", names[program], IN_END);
	err = driver__counter(IN_END, "_xdp_packets", &before);
	if (!err)
		err = generator__send(g, WARM_UP, 0, &warm);
	if (!err)
		err = generator__send(g, 0, seconds, &sent);
	if (!err)
		err = driver__counter(IN_END, "_xdp_packets", &after);
	if (err)
		return err;
	sum->packets += program == ALONE ? sent.made : sent.sent;
	sum->seconds += sent.seconds;
	c->arrived[program] += after - before;
	if (program == OURS)
		err = count_ours(s, &c->counted[OURS], &c->elsewhere);
	return err;
}

static int run_round(struct setup *s, struct sum sum[PROGRAM_N], struct counts *c)
{
	int slice, i, err = 0;

	memset(sum, 0, PROGRAM_N * sizeof(*sum));
	for (slice = 0; slice < SLICES && !err; slice++)
		for (i = 0; i < PROGRAM_N && !err; i++)
			err = run_slice(s, i, &sum[i], c);
	return err;
}

/* Nobody may have counted less, or more, than arrived; and all of it on the CPU that we speak of. */
static int check(struct setup *s, struct counts *c)
{
	struct tally t;
	int i, err = count_hash(s, &c->counted[PERCPU_HASH]);

	harvest__tally(s->harvest, 0, -1, &t);
	c->lost = t.reason[REASON_LOST].packets;
	c->counted[OURS] += c->lost;
	for (i = PERCPU_HASH; i <= OURS && !err; i++) {
		if (c->counted[i] == c->arrived[i])
			continue;
		say(SAY_ERROR, "%s counted %llu packets, but the driver received %llu", names[i],
		    (unsigned long long)c->counted[i], (unsigned long long)c->arrived[i]);
		err = -EIO;
	}
	c->counted[OURS] -= c->lost;
	if (!err && c->elsewhere)
		say(SAY_NOTE, "%llu packets were received on another CPU than %llu",
		    (unsigned long long)c->elsewhere, (unsigned long long)s->opts->cpu);
	return err;
}

static int measure(struct setup *s, struct figure f[PROGRAM_N], struct counts *c)
{
	struct sum sum[PROGRAM_N];
	uint64_t r;
	int i, err = 0;

	memset(c, 0, sizeof(*c));
	for (r = 0; r < s->opts->rounds && !err; r++) {
		err = run_round(s, sum, c);
		for (i = 0; i < PROGRAM_N && !err; i++)
			f[i].pps[r] = sum[i].packets / sum[i].seconds;
		for (i = 0; i < PROGRAM_N && !err; i++)
			f[i].part[r] = f[i].pps[r] / f[DROP].pps[r];
		if (!err)
			err = check(s, c);
	}
	return err;
}

/* ---- what came out ---- */

static void print_row(uint32_t flows, const struct figure f[PROGRAM_N], size_t rounds)
{
	double drop = middle(f[DROP].pps, rounds).median;
	struct middle m;
	int i;

	printf("%8u", flows);
	for (i = 0; i < PROGRAM_N; i++) {
		m = middle(f[i].pps, rounds);
		printf("  %6.2f (%5.2f-%5.2f)", m.median / 1e6, m.low / 1e6, m.high / 1e6);
	}
	for (i = PERCPU_HASH; i <= OURS; i++) {
		m = middle(f[i].part, rounds);
		printf("  %5.3f %4.0f", m.median,
		       1e9 / middle(f[i].pps, rounds).median - 1e9 / drop);
	}
	putchar('\n');
}

static json_t *row_json(uint32_t flows, const struct figure f[PROGRAM_N], size_t rounds,
			const struct counts *c)
{
	json_t *row = json_pack("{s:I}", "flows", (json_int_t)flows), *program;
	int i;

	for (i = 0; i < PROGRAM_N; i++) {
		program = json_pack("{s:o}", "pps", middle__json(middle(f[i].pps, rounds)));
		if (i > DROP)
			json_object_set_new(program, "to_drop",
					    middle__json(middle(f[i].part, rounds)));
		if (i > DROP)
			json_object_set_new(program, "counted", json_integer(c->counted[i]));
		if (i > ALONE)
			json_object_set_new(program, "arrived", json_integer(c->arrived[i]));
		json_object_set_new(row, names[i], program);
	}
	json_object_set_new(row, "lost", json_integer(c->lost));
	json_object_set_new(row, "received_on_another_cpu", json_integer(c->elsewhere));
	return row;
}

static void print_head(const struct options *o)
{
	int i;

	printf("IPv%d TCP, %llu bytes a frame; sender pinned to CPU %llu at priority -20, and the receiving end's NAPI\n"
	       "runs there too, within the sender's call; Mpps: median (min-max) of %llu rounds of %d slices of %llu ms\n",
	       o->ip6 ? 6 : 4, (unsigned long long)o->size, (unsigned long long)o->cpu,
	       (unsigned long long)o->rounds, SLICES, (unsigned long long)o->slice);
	printf("%8s", "flows");
	for (i = 0; i < PROGRAM_N; i++)
		printf("  %-20s", names[i]);
	printf("  percpu/drop  ours/drop (part, ns more)\n");
}

static int run(const struct options *o, json_t *rows)
{
	struct figure f[PROGRAM_N];
	struct counts c;
	struct setup s;
	size_t i;
	int err = 0;

	print_head(o);
	for (i = 0; i < o->counts && !err; i++) {
		err = setup__open(&s, o, o->count[i]);
		if (!err)
			err = measure(&s, f, &c);
		if (!err) {
			print_row(o->count[i], f, o->rounds);
			json_array_append_new(rows, row_json(o->count[i], f, o->rounds, &c));
		}
		setup__close(&s);
	}
	return err;
}

static int write_json(const struct options *o, json_t *rows)
{
	json_t *all = json_pack("{s:i,s:I,s:I,s:I,s:f,s:O}", "ip", o->ip6 ? 6 : 4, "frame_bytes",
				(json_int_t)o->size, "cpu", (json_int_t)o->cpu, "rounds",
				(json_int_t)o->rounds, "seconds", SLICES * o->slice / 1e3, "rows",
				rows);
	int err = json_dump_file(all, o->json, JSON_INDENT(1));

	json_decref(all);
	return err ? fail(-errno, NULL, "write %s", o->json) : 0;
}

static const struct usage usage = {
	.program = ".build/bench/path",
	.synopsis = "[--flows N]... [--rounds N] [--slice MS] [--json FILE]",
	.about =
		"Packets a second from one CPU over a veth pair into native XDP that drops them: at once, after the kernel's\n"
		"per-CPU hash, after the meter. `alone` is the generator without a path. Makes its own network namespace.",
};

/* The table has room for twice the most. */
static int read_counts(struct options *o)
{
	unsigned long long n;
	size_t i;

	if (o->flows.n > COUNTS_MAX) {
		say(SAY_ERROR, "--flows can be given %d times", COUNTS_MAX);
		return -EINVAL;
	}
	for (i = 0; i < o->flows.n; i++) {
		if (opt__number(o->flows.item[i], "--flows", 1, SLOTS / 2, &n))
			return -EINVAL;
		o->count[i] = n;
	}
	if (o->flows.n)
		o->counts = o->flows.n;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.rounds = 5, .slice = 100, .size = 60, .count = { 1, 4096, 65536 }, .counts = 3
	};
	const struct opt opts[] = {
		{ 0, "rounds", "N", "rounds (5)", OPT_NUMBER, &o.rounds, 1, ROUNDS_MAX, NULL },
		{ 0, "slice", "MS",
		  "milliseconds a slice, of which each program has five a round (100)", OPT_NUMBER,
		  &o.slice, 1, 3600000, NULL },
		{ 0, "flows", "N", "how many flows, repeatable (1, 4096, 65536)", OPT_LIST,
		  &o.flows, 0, 0, NULL },
		{ 0, "size", "B", "bytes of a frame, without FCS (60)", OPT_NUMBER, &o.size, 54,
		  1514, NULL },
		{ 0, "ip6", NULL, "IPv6 instead of IPv4", OPT_FLAG, &o.ip6, 0, 0, NULL },
		{ 0, "cpu", "N", "run on this CPU (0)", OPT_NUMBER, &o.cpu, 0, 1023, NULL },
		{ 0, "json", "FILE", "write the figures to FILE too", OPT_TEXT, &o.json, 0, 0,
		  NULL },
		{},
	};
	json_t *rows = json_array();
	int first = opt__parse(argc, argv, &usage, opts), err;

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	if (first < argc || read_counts(&o))
		return 2;
	setlinebuf(stdout);
	libbpf_set_print(print);
	err = generator__pin(o.cpu);
	if (!err && setpriority(PRIO_PROCESS, 0, -20))
		err = fail(-errno, "run as root", "raise the priority");
	if (!err)
		err = room__open(OUT_END, IN_END);
	if (!err)
		err = run(&o, rows);
	if (!err && o.json)
		err = write_json(&o, rows);
	json_decref(rows);
	opt_list__free(&o.flows);
	return err ? 1 : 0;
}
