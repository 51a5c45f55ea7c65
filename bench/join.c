// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench/join: what the aggregator costs a flow, in ns of CPU time and in bytes. Each number of flows is measured in a
 * process of its own, so that its memory is its own; every flow has its own socket with an owner. "by handle" is what
 * a harvest does, in the order of the table and in a random one; "by lookup" is the same without handles.
 */
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "attrib/join.h"
#include "tools/opt.h"
#include "xdp/say.h"

#define ROUNDS_MAX 64
#define COUNTS_MAX 16
#define PROCESSES 64
#define NETNS 1

#define FIGURES(X) \
	X(NEW, "new") \
	X(HANDLE, "by_handle") \
	X(SHUFFLED, "by_handle_shuffled") \
	X(LOOKUP, "by_lookup") \
	X(REPORT, "report") \
	X(HARVEST, "harvest")

enum {
#define X(id, name) FIGURE_##id,
	FIGURES(X)
#undef X
		FIGURE_N
};

static const char *const figure_names[] = {
#define X(id, name) name,
	FIGURES(X)
#undef X
};

/* Bytes a flow (three ways to weigh them) and a socket with its place in the owner index. */
enum { OWN_BYTES, HEAP_BYTES, RSS_BYTES, SOCKET_BYTES, WEIGHTS };

static const char *const weight_names[] = { "own", "heap", "rss", "socket" };

struct options {
	uint64_t rounds;
	const char *json;
	struct opt_list flows;
};

/* As the harvest finds it: one cache line a flow, in the order in which the table gave the slots away. */
struct slot_like {
	struct flow_key key;
	struct count count;
	uint32_t handle[2]; /* of the receiving table, of the sending one */
};

struct figures {
	double ns[FIGURE_N][ROUNDS_MAX];
	double bytes[WEIGHTS];
	uint64_t rounds;
};

struct load {
	struct slot_like *slot;
	uint32_t *order; /* random */
	size_t n;
	struct join *join;
	uint64_t now, packets;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint64_t random64(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

static void shuffle(struct load *l)
{
	uint64_t state = 88172645463325252ull;
	size_t i;

	for (i = 0; i < l->n; i++)
		l->order[i] = i;
	for (i = l->n - 1; i > 0; i--) {
		size_t other = random64(&state) % (i + 1);
		uint32_t swapped = l->order[i];

		l->order[i] = l->order[other];
		l->order[other] = swapped;
	}
}

/* A server's view: one port, many clients. */
static struct flow_key key_of(size_t i)
{
	struct flow_key k = { .sport = htons(443),
			      .dport = htons(1024 + i % 50000),
			      .proto = IPPROTO_TCP,
			      .family = 4 };
	uint32_t client = htonl(0x0a000000 + i / 50000), server = htonl(0xc0a80001);

	k.saddr[10] = k.saddr[11] = k.daddr[10] = k.daddr[11] = 0xff;
	memcpy(k.saddr + 12, &server, 4);
	memcpy(k.daddr + 12, &client, 4);
	return k;
}

static int load__open(struct load *l, size_t n)
{
	size_t i;

	*l = (struct load){ .n = n };
	l->slot = calloc(n, sizeof(*l->slot));
	l->order = calloc(n, sizeof(*l->order));
	if (!l->slot || !l->order)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		l->slot[i] = (struct slot_like){ .key = key_of(i),
						 .count = { 3, 4000 },
						 .handle = { UINT32_MAX, UINT32_MAX } };
	shuffle(l);
	return 0;
}

static void load__close(struct load *l)
{
	join__close(l->join);
	free(l->slot);
	free(l->order);
}

static uint64_t resident(void)
{
	unsigned long long total, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%llu %llu", &total, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static uint64_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static uint64_t own(const struct join *j)
{
	struct join_stats s;

	join__stats(j, &s);
	return s.bytes;
}

/* ---- what is measured ---- */

static double add_all(struct load *l, int dir)
{
	double start = now_ns();
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct slot_like *s = &l->slot[i];

		if (join__add(l->join, &s->key, dir, &s->count, 0, l->now, &s->handle[dir]))
			abort();
	}
	return (now_ns() - start) / l->n;
}

static double add_shuffled(struct load *l)
{
	double start = now_ns();
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct slot_like *s = &l->slot[l->order[i]];

		if (join__add(l->join, &s->key, 0, &s->count, 0, l->now, &s->handle[0]))
			abort();
	}
	return (now_ns() - start) / l->n;
}

static double add_by_lookup(struct load *l)
{
	double start = now_ns();
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct slot_like *s = &l->slot[i];
		uint32_t handle = UINT32_MAX;

		if (join__add(l->join, &s->key, 0, &s->count, 0, l->now, &handle))
			abort();
	}
	return (now_ns() - start) / l->n;
}

static void on_view(void *to, const struct flow_view *v)
{
	struct load *l = to;

	l->packets += v->sent.packets + v->received.packets;
	if (!v->who)
		abort();
}

static double report_all(struct load *l)
{
	double start = now_ns();

	join__report(l->join, l->now, on_view, l);
	return (now_ns() - start) / l->n;
}

static int own_all(struct load *l)
{
	struct owner_event e = { .kind = OWNER_SOCKET, .netns = NETNS, .how = OWNER_EXACT };
	size_t i;
	int err = 0;

	for (i = 0; i < l->n && !err; i++) {
		e.key = l->slot[i].key;
		e.cookie = i + 1;
		e.who = (struct who){ .pid = 1000 + i % PROCESSES, .start = 1, .comm = "server" };
		err = join__owner(l->join, &e);
	}
	return err;
}

static int fill(struct load *l, struct figures *f)
{
	struct join_opts opts = { .live = true };
	uint64_t heap_before, rss_before;
	int err;

	err = join__open(&l->join, &opts);
	if (err)
		return err;
	join__set_netns(l->join, 0, NETNS);
	heap_before = heap();
	rss_before = resident();
	l->now = 1;
	f->ns[FIGURE_NEW][0] = add_all(l, 0);
	f->bytes[OWN_BYTES] = own(l->join) / (double)l->n;
	f->bytes[HEAP_BYTES] = (heap() - heap_before) / (double)l->n;
	f->bytes[RSS_BYTES] = (resident() - rss_before) / (double)l->n;
	err = own_all(l);
	f->bytes[SOCKET_BYTES] = own(l->join) / (double)l->n - f->bytes[OWN_BYTES];
	add_all(l, 1);
	report_all(l);
	return err;
}

static void one_round(struct load *l, struct figures *f, uint64_t round)
{
	double sent, received;

	l->now++;
	sent = add_all(l, 0);
	received = add_all(l, 1);
	f->ns[FIGURE_HANDLE][round] = (sent + received) / 2;
	f->ns[FIGURE_REPORT][round] = report_all(l);
	f->ns[FIGURE_HARVEST][round] = sent + received + f->ns[FIGURE_REPORT][round];
	l->now++;
	f->ns[FIGURE_SHUFFLED][round] = add_shuffled(l);
	f->ns[FIGURE_LOOKUP][round] = add_by_lookup(l);
	report_all(l);
	f->ns[FIGURE_NEW][round] = f->ns[FIGURE_NEW][0];
}

/* Every packet that was added must have been reported. */
static int measure(size_t n, uint64_t rounds, struct figures *f)
{
	struct load l;
	uint64_t r, expected = (2 + rounds * 4) * 3 * n;
	int err = load__open(&l, n);

	f->rounds = rounds;
	if (!err)
		err = fill(&l, f);
	for (r = 0; r < rounds && !err; r++)
		one_round(&l, f, r);
	if (!err && l.packets != expected) {
		say(SAY_ERROR, "%llu packets were reported, %llu added",
		    (unsigned long long)l.packets, (unsigned long long)expected);
		err = -EIO;
	}
	load__close(&l);
	return err;
}

static int measure_apart(size_t n, uint64_t rounds, struct figures *f)
{
	int fds[2], status = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(fds))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		int err = measure(n, rounds, f);

		if (err)
			fail(err, NULL, "measure %zu flows", n);
		_exit(err || write(fds[1], f, sizeof(*f)) != sizeof(*f));
	}
	close(fds[1]);
	got = 0;
	while ((size_t)got < sizeof(*f)) {
		ssize_t more = read(fds[0], (char *)f + got, sizeof(*f) - got);

		if (more <= 0)
			break;
		got += more;
	}
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status || got != sizeof(*f))
		return -EIO;
	return 0;
}

/* ---- what is printed ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *sorted, uint64_t n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static json_t *row_json(size_t n, const struct figures *f)
{
	json_t *row = json_pack("{s:I}", "flows", (json_int_t)n), *bytes = json_object();
	int i;

	for (i = 0; i < FIGURE_N; i++)
		json_object_set_new(row, figure_names[i],
				    json_pack("{s:f,s:f,s:f}", "median_ns",
					      median(f->ns[i], f->rounds), "min_ns", f->ns[i][0],
					      "max_ns", f->ns[i][f->rounds - 1]));
	for (i = 0; i < WEIGHTS; i++)
		json_object_set_new(bytes, weight_names[i], json_real(f->bytes[i]));
	json_object_set_new(row, "bytes", bytes);
	return row;
}

static void print_row(size_t n, const struct figures *f)
{
	int i;

	printf("%8zu", n);
	for (i = 0; i < FIGURE_N; i++)
		printf("  %5.1f (%5.1f-%5.1f)", median(f->ns[i], f->rounds), f->ns[i][0],
		       f->ns[i][f->rounds - 1]);
	printf("  %7.1f", median(f->ns[FIGURE_HARVEST], f->rounds) * n / 1e6);
	for (i = 0; i < WEIGHTS; i++)
		printf("  %6.1f", f->bytes[i]);
	printf("\n");
}

static void print_head(void)
{
	int i;

	printf("CPU ns a flow: median (min-max); bytes a flow: own count, heap, resident; bytes a socket\n");
	printf("%8s", "flows");
	for (i = 0; i < FIGURE_N; i++)
		printf("  %-19s", figure_names[i]);
	printf("  %7s", "ms");
	for (i = 0; i < WEIGHTS; i++)
		printf("  %6s", weight_names[i]);
	printf("\n");
}

static int run(const struct options *o, const size_t *count, size_t counts, json_t *rows)
{
	struct figures *f = calloc(1, sizeof(*f));
	size_t c;
	int i, err = f ? 0 : -ENOMEM;

	print_head();
	for (c = 0; c < counts && !err; c++) {
		err = measure_apart(count[c], o->rounds, f);
		for (i = 0; i < FIGURE_N; i++)
			qsort(f->ns[i], o->rounds, sizeof(double), by_value);
		if (!err) {
			print_row(count[c], f);
			json_array_append_new(rows, row_json(count[c], f));
		}
	}
	free(f);
	return err;
}

static const struct usage usage = {
	.program = ".build/bench/join",
	.synopsis = "[--flows N]... [--json FILE]",
	.about =
		"Cost of the aggregator: a harvest is one add by handle in each direction, and a report.",
};

static int read_counts(const struct opt_list *list, size_t *count, size_t *counts)
{
	unsigned long long n;
	size_t i;

	if (list->n > COUNTS_MAX) {
		say(SAY_ERROR, "--flows can be given %d times", COUNTS_MAX);
		return -EINVAL;
	}
	for (i = 0; i < list->n; i++) {
		if (opt__number(list->item[i], "--flows", 1, 100000000, &n))
			return -EINVAL;
		count[i] = n;
	}
	if (list->n)
		*counts = list->n;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .rounds = 7 };
	const struct opt opts[] = {
		{ 0, "rounds", "N", "rounds (7)", OPT_NUMBER, &o.rounds, 5, ROUNDS_MAX, NULL },
		{ 0, "flows", "N", "how many flows, repeatable (10k, 100k, 1M)", OPT_LIST, &o.flows,
		  0, 0, NULL },
		{ 0, "json", "FILE", "write the figures to FILE too", OPT_TEXT, &o.json, 0, 0,
		  NULL },
		{},
	};
	size_t count[COUNTS_MAX] = { 10000, 100000, 1000000 }, counts = 3;
	int first = opt__parse(argc, argv, &usage, opts), err;
	json_t *rows;

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	if (first < argc || read_counts(&o.flows, count, &counts))
		return 2;
	rows = json_array();
	err = run(&o, count, counts, rows);
	if (!err && o.json && json_dump_file(rows, o.json, JSON_INDENT(1))) {
		say(SAY_ERROR, "write %s: %s", o.json, strerror(errno));
		err = -EIO;
	}
	json_decref(rows);
	opt_list__free(&o.flows);
	return err ? 1 : 0;
}
