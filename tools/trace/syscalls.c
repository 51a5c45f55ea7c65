// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace syscalls: system calls by process and name; how long they take, how they fail. */
#include "tracers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "trace.h"
#include "attrib/trace_syscalls.h"
#include "attrib/trace_syscalls.skel.h"
#include "syscall_names.h"
#include "tally.h"
#include "tools/outputs/ecs.h"
#include "xdp/say.h"

#define TABLE_BYTES (32u << 20) /* of kernel memory, for the two tables together */
#define TABLE_MOST 65536
#define TABLE_LEAST 256

enum by { BY_BOTH, BY_PROCESS, BY_SYSCALL };
static const char *const by_names[] = { "both", "process", "syscall", NULL };

enum { CALLS, RETURNED, FAILED, NS, NS_MAX };

static const struct usage usage = {
	.verb = "trace syscalls",
	.synopsis = "[OPTION]... [interval [count]]",
	.about =
		"Counts system calls by process and name: a table at the end, or every interval. A call counts "
		"when the kernel begins to work on it; what seccomp refuses is not begun, and shows with --errors "
		"only.",
	.examples =
		"  wirewho trace syscalls --top 20 5        the twenty largest, every five seconds\n"
		"  wirewho trace syscalls --latency -p 1234\n"
		"  wirewho trace syscalls --errors --by syscall 10 1\n",
};

struct syscalls {
	struct trace_opts opts;
	bool latency, errors;
	int by;
	uint64_t top, table;
	struct trace *trace;
	struct trace_syscalls_bpf *skel;
	struct tally_table *sums, *names;
	bool second;                 /* which of the two tables the kernel fills */
	struct syscall_key *key;     /* what one table holds */
	struct syscall_count *count; /* one for each possible CPU */
	int cpus;
	uint64_t since; /* CLOCK_MONOTONIC ns: where these sums begin */
};

/* ---- names: a process may change its own, the last one counts ---- */

struct process_key {
	uint64_t start;
	uint32_t pid, pad;
};

struct label {
	uint64_t since;
	char comm[16];
	uint64_t uid;
};
_Static_assert(sizeof(struct label) <= TALLY_SUMS * sizeof(uint64_t), "a label in place of sums");

static struct label *label_of(const struct syscalls *s, uint64_t start, uint32_t pid)
{
	struct process_key key = { .start = start, .pid = pid };
	struct tally_row *row = tally_table__row(s->names, &key);

	return row ? (struct label *)row->sum : NULL;
}

static void learn_name(struct syscalls *s, const struct syscall_key *key,
		       const struct syscall_count *c)
{
	struct label *l = label_of(s, key->start, key->pid);

	if (!l || l->since > c->since)
		return;
	l->since = c->since;
	l->uid = c->uid;
	memcpy(l->comm, c->comm, sizeof(l->comm));
}

/* ---- taking what the kernel counted ---- */

static void add(struct syscalls *s, const struct syscall_key *found, const struct syscall_count *c)
{
	struct syscall_key key = *found;
	struct tally_row *row;

	if (s->by == BY_SYSCALL)
		key.start = key.pid = 0;
	if (s->by == BY_PROCESS)
		key.nr = key.abi = 0;
	row = tally_table__row(s->sums, &key);
	if (!row) {
		trace__add_lost(s->trace, c->calls);
		return;
	}
	row->sum[CALLS] += c->calls;
	row->sum[RETURNED] += c->returned;
	row->sum[FAILED] += c->failed;
	row->sum[NS] += c->ns;
	if (c->ns_max > row->sum[NS_MAX])
		row->sum[NS_MAX] = c->ns_max;
	trace__add_events(s->trace, c->calls);
}

static void take_rows(struct syscalls *s, uint32_t n)
{
	uint32_t i;
	int cpu;

	for (i = 0; i < n; i++)
		for (cpu = 0; cpu < s->cpus; cpu++) {
			const struct syscall_count *c = &s->count[(size_t)i * s->cpus + cpu];

			if (!c->since)
				continue;
			learn_name(s, &s->key[i], c);
			add(s, &s->key[i], c);
		}
}

/* Reads and empties a table that nobody fills. */
static int empty_table(struct syscalls *s, int table)
{
	uint32_t at = 0, n;
	int err = 0;
	bool first = true;

	while (!err) {
		n = s->table;
		err = bpf_map_lookup_and_delete_batch(table, first ? NULL : &at, &at, s->key,
						      s->count, &n, NULL)
			      ? -errno
			      : 0;
		if (!err || err == -ENOENT)
			take_rows(s, n);
		first = false;
	}
	return err == -ENOENT ? 0 : fail(err, NULL, "read the table of system calls");
}

static int syscalls__tick(void *self)
{
	struct syscalls *s = self;
	int one = bpf_map__fd(s->skel->maps.syscall_counts);
	int other = bpf_map__fd(s->skel->maps.syscall_counts_next);
	int filled = s->second ? other : one, empty = s->second ? one : other;
	uint32_t zero = 0;

	/* Returns when no program holds the filled one any more. */
	if (bpf_map_update_elem(bpf_map__fd(s->skel->maps.syscall_counts_now), &zero, &empty,
				BPF_ANY))
		return fail(-errno, NULL, "put an empty table of system calls in place");
	s->second = !s->second;
	return empty_table(s, filled);
}

/* ---- lines for people ---- */

static const char *error_name(unsigned err, char text[16])
{
	/* Of calls that a signal cut short: the kernel restarts them, or makes EINTR of it; see errno.h in its own headers. */
	static const char *const restart[] = { "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND",
					       "ENOIOCTLCMD", "ERESTARTBLOCK" };
	const char *name = strerrorname_np((int)err);

	if (!name && err >= 512 && err < 512 + sizeof(restart) / sizeof(*restart))
		name = restart[err - 512];
	if (name)
		return name;
	snprintf(text, 16, "%u", err);
	return text;
}

static void print_head(const struct syscalls *s, uint64_t now)
{
	FILE *out = trace__out(s->trace);
	char clock[TRACE_CLOCK_SIZE];

	fprintf(out, "%s\n", trace__clock(s->trace, now, clock));
	if (s->by != BY_SYSCALL)
		fprintf(out, "%7s %-15s ", "PID", "COMM");
	if (s->by != BY_PROCESS)
		fprintf(out, "%-22s ", "SYSCALL");
	if (s->errors)
		fprintf(out, "%-15s ", "ERROR");
	fprintf(out, "%10s", "CALLS");
	if (s->latency)
		fprintf(out, " %10s %12s %10s %10s", "FAILED", "TOTAL ms", "AVG us", "MAX us");
	fputc('\n', out);
}

static void print_row(const struct syscalls *s, const struct tally_row *r)
{
	const struct syscall_key *k = (const struct syscall_key *)r->key;
	const struct label *l = k->pid ? label_of(s, k->start, k->pid) : NULL;
	FILE *out = trace__out(s->trace);
	char name[SYSCALL_NAME_SIZE], error[16];

	if (s->by != BY_SYSCALL)
		fprintf(out, "%7u %-15s ", k->pid,
			l ? trace__text(s->trace, l->comm, sizeof(l->comm)) : "?");
	if (s->by != BY_PROCESS)
		fprintf(out, "%-22s ", syscall_name(k->abi, k->nr, name));
	if (s->errors)
		fprintf(out, "%-15s ", error_name(k->error, error));
	fprintf(out, "%10llu", (unsigned long long)r->sum[CALLS]);
	if (s->latency)
		fprintf(out, " %10llu %12.3f %10.3f %10.3f", (unsigned long long)r->sum[FAILED],
			r->sum[NS] / 1e6,
			r->sum[RETURNED] ? r->sum[NS] / 1e3 / r->sum[RETURNED] : 0,
			r->sum[NS_MAX] / 1e3);
	fputc('\n', out);
}

static void print_sum(const struct syscalls *s, const struct tally_row *row, size_t n, size_t shown)
{
	FILE *out = trace__out(s->trace);
	unsigned long long calls = 0, rest = 0;
	long long waiting = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		calls += row[i].sum[CALLS];
		rest += i < shown ? 0 : row[i].sum[CALLS];
		waiting += row[i].sum[CALLS] - row[i].sum[RETURNED];
	}
	if (shown < n)
		fprintf(out, "... and %zu more rows, %llu calls\n", n - shown, rest);
	fprintf(out, "%llu calls%s", calls, s->errors ? " failed" : "");
	if (s->latency && waiting > 0)
		fprintf(out, "; %lld of them did not return yet, or never do", waiting);
	fputs("\n\n", out);
}

/* ---- records ---- */

static json_t *row__json(const struct syscalls *s, const struct tally_row *r, uint64_t now)
{
	const struct syscall_key *k = (const struct syscall_key *)r->key;
	const struct label *l = k->pid ? label_of(s, k->start, k->pid) : NULL;
	json_t *record = trace__metric(s->trace, s->since, now);
	json_t *sums = json_pack("{s:I}", "calls", (json_int_t)r->sum[CALLS]);
	char name[SYSCALL_NAME_SIZE], error[16];

	if (s->by != BY_PROCESS)
		json_object_update_new(sums, json_pack("{s:s, s:i, s:s}", "name",
						       syscall_name(k->abi, k->nr, name), "number",
						       k->nr, "abi", syscall_abi_name(k->abi)));
	if (s->errors)
		json_object_set_new(sums, "error", json_string(error_name(k->error, error)));
	if (s->latency)
		json_object_update_new(sums, json_pack("{s:I, s:I, s:I, s:I}", "returned",
						       (json_int_t)r->sum[RETURNED], "failed",
						       (json_int_t)r->sum[FAILED], "total_ns",
						       (json_int_t)r->sum[NS], "max_ns",
						       (json_int_t)r->sum[NS_MAX]));
	trace__add(record, "syscall", sums);
	if (l) {
		struct who who = { .pid = k->pid, .start = k->start };

		memcpy(who.comm, l->comm, sizeof(who.comm));
		json_object_set_new(record, "process", trace__process_json(s->trace, &who));
		json_object_set_new(record, "user", trace__user_json(s->trace, l->uid));
	}
	return record;
}

static int syscalls__interval(void *self, bool last)
{
	struct syscalls *s = self;
	const struct tally_row *row;
	uint64_t now = trace__now();
	size_t n, shown, i;
	int err = syscalls__tick(s);

	(void)last;
	if (err)
		return err;
	n = tally_table__sorted(s->sums, s->latency ? NS : CALLS, &row);
	shown = s->top && s->top < n ? s->top : n;
	if (trace__out(s->trace))
		print_head(s, now);
	for (i = 0; i < shown; i++)
		if (trace__out(s->trace))
			print_row(s, &row[i]);
		else
			trace__write(s->trace, row__json(s, &row[i], now));
	if (trace__out(s->trace))
		print_sum(s, row, n, shown);
	tally_table__empty(s->sums);
	tally_table__empty(s->names);
	s->since = now;
	return 0;
}

/* ---- what was lost ---- */

static uint64_t lost_of(const struct syscalls *s, uint32_t nr)
{
	uint64_t each[s->cpus], sum = 0;
	int cpu;

	if (bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.syscalls_lost), &nr, each))
		return 0;
	for (cpu = 0; cpu < s->cpus; cpu++)
		sum += each[cpu];
	return sum;
}

/* By name: a call's interface is not kept for these, so those of another one than the machine's own stand under its names. */
static void syscalls__end(void *self)
{
	struct syscalls *s = self;
	char text[800] = "", name[SYSCALL_NAME_SIZE];
	uint64_t lost, sum = 0;
	size_t at = 0;
	uint32_t nr;

	for (nr = 0; nr <= SYSCALL_OTHER; nr++) {
		lost = lost_of(s, nr);
		sum += lost;
		if (lost && at < sizeof(text) - 80)
			at += snprintf(text + at, sizeof(text) - at, "%s%llu %s", at ? ", " : "",
				       (unsigned long long)lost,
				       syscall_name(syscall_abi_own(), nr, name));
	}
	if (sum)
		say(SAY_NOTE,
		    "%llu calls found the table of %llu rows full, and are in no row: %s; --table makes it larger",
		    (unsigned long long)sum, (unsigned long long)s->table, text);
	trace__add_lost(s->trace, sum);
}

/* ---- the tracer ---- */

static void size_table(struct syscalls *s)
{
	uint64_t row = sizeof(struct syscall_key) + s->cpus * sizeof(struct syscall_count) + 64;

	if (s->table)
		return;
	s->table = TABLE_BYTES / 2 / row;
	if (s->table > TABLE_MOST)
		s->table = TABLE_MOST;
	if (s->table < TABLE_LEAST)
		s->table = TABLE_LEAST;
}

static int make_tables(struct syscalls *s)
{
	int err = tally_table__open(&s->sums, sizeof(struct syscall_key));

	if (!err)
		err = tally_table__open(&s->names, sizeof(struct process_key));
	s->cpus = libbpf_num_possible_cpus();
	size_table(s);
	s->key = calloc(s->table, sizeof(*s->key));
	s->count = calloc(s->table * s->cpus, sizeof(*s->count));
	if (err || !s->key || !s->count)
		return fail(-ENOMEM, NULL, "make the tables of system calls");
	return 0;
}

static int syscalls__open(void *self, struct trace *t)
{
	struct syscalls *s = self;
	const struct trace_hook hooks[] = {
		{ .program = "on_enter", .off = s->errors },
		{ .program = "on_leave", .off = !s->errors && !s->latency },
	};
	int err;

	s->trace = t;
	err = make_tables(s);
	if (err)
		return err;
	s->skel = trace_syscalls_bpf__open();
	if (!s->skel)
		return fail(-errno, NULL, "open the syscall tracer's programs");
	s->skel->rodata->filter = *trace__filter(t);
	s->skel->rodata->timed = s->latency;
	s->skel->rodata->errors_only = s->errors;
	bpf_map__set_max_entries(s->skel->maps.syscall_counts, s->table);
	bpf_map__set_max_entries(s->skel->maps.syscall_counts_next, s->table);
	err = trace__load(t, s->skel->obj, hooks, sizeof(hooks) / sizeof(*hooks));
	s->since = trace__now();
	return err;
}

static void syscalls__close(void *self)
{
	struct syscalls *s = self;

	trace_syscalls_bpf__destroy(s->skel);
	tally_table__close(s->sums);
	tally_table__close(s->names);
	free(s->key);
	free(s->count);
}

static const struct tracer tracer = {
	.name = "syscalls",
	.what = "system calls",
	.open = syscalls__open,
	.tick = syscalls__tick,
	.interval = syscalls__interval,
	.end = syscalls__end,
	.close = syscalls__close,
};

int trace_syscalls(int argc, char **argv)
{
	struct syscalls s = { 0 };
	const struct opt opts[] = {
		{ 0, "latency", NULL,
		  "also how many failed, and the time they took: sum, average, longest", OPT_FLAG,
		  &s.latency, 0, 0, NULL },
		{ 0, "errors", NULL, "only those that failed, by error", OPT_FLAG, &s.errors, 0, 0,
		  NULL },
		{ 0, "by", "KIND", "rows by process, syscall or both", OPT_CHOICE, &s.by, 0, 0,
		  by_names },
		{ 0, "top", "N", "show at most N rows", OPT_NUMBER, &s.top, 1, 1000000, NULL },
		{ 0, "table", "N", "rows that the kernel can hold; emptied every second",
		  OPT_NUMBER, &s.table, 16, 1u << 20, NULL },
		TRACE_OPTS(&s.opts),
		{ 0 },
	};
	int code = trace__parse(&s.opts, argc, argv, &usage, opts);

	if (code < 0 && s.latency && s.errors) {
		say(SAY_ERROR,
		    "--latency and --errors exclude each other: --latency has a column of failed calls");
		code = 2;
	}
	return code < 0 ? trace__run(&s.opts, &tracer, &s) : code;
}
