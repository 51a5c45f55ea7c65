// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace exec: programs as they are started, how that failed, and how they end. */
#include "tracers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "trace.h"
#include "attrib/trace_exec.h"
#include "attrib/trace_exec.skel.h"
#include "tally.h"
#include "tools/outputs/ecs.h"
#include "xdp/say.h"

enum by { BY_EVENT, BY_USER, BY_PROCESS, BY_PARENT };
static const char *const by_names[] = { "event", "user", "process", "parent", NULL };

enum { EXECS, FAILED, EXITS };

static const struct usage usage = {
	.verb = "trace exec",
	.synopsis = "[OPTION]... [interval [count]]",
	.about =
		"One line for each program that is started: when, whose, and the file as it was given to "
		"execve(2). With --by, counts instead: every interval, or at the end.\n\n"
		"-p, -u and --comm choose by what the process is after the exec; of an exec that failed, by who "
		"tried.",
	.examples =
		"  wirewho trace exec --args                every program and its arguments\n"
		"  wirewho trace exec --failed --exits -u www-data\n"
		"  wirewho trace exec --by parent 10        who starts how many, every ten seconds\n",
};

struct exec {
	struct trace_opts opts;
	bool args, failed, exits;
	int by;
	struct trace *trace;
	struct trace_exec_bpf *skel;
	struct tally_table *sums;
	uint64_t since; /* CLOCK_MONOTONIC ns: where these sums begin */
};

/* ---- lines for people ---- */

/* An error by its name, else by its number. */
static const char *error_name(int err, char text[16])
{
	const char *name = strerrorname_np(err);

	if (name)
		return name;
	snprintf(text, 16, "%d", err);
	return text;
}

static const char *signal_name(int number, char text[16])
{
	const char *name = sigabbrev_np(number);

	if (name)
		snprintf(text, 16, "SIG%s", name);
	else
		snprintf(text, 16, "signal %d", number);
	return text;
}

static const char *result_text(const struct trace_exec_event *e, char text[16])
{
	if (e->kind == TRACE_EXEC)
		return "0";
	if (e->kind == TRACE_EXEC_FAILED)
		return error_name(-e->result, text);
	if (WIFSIGNALED(e->result))
		return signal_name(WTERMSIG(e->result), text);
	snprintf(text, 16, "exit %d", WEXITSTATUS(e->result));
	return text;
}

/* So that it can be told where an argument ends. */
static bool needs_quotes(const char *text)
{
	return !*text || strpbrk(text, " \"'\\$`*?;&|<>()#~");
}

static void print_argument(FILE *out, const char *text)
{
	if (!needs_quotes(text)) {
		fprintf(out, " %s", text);
		return;
	}
	fputs(" \"", out);
	for (; *text; text++)
		fprintf(out, *text == '"' ? "\\%c" : "%c", *text);
	fputc('"', out);
}

static void print_args(const struct exec *x, const struct trace_exec_event *e)
{
	FILE *out = trace__out(x->trace);
	size_t at, n;

	if (!e->args_known)
		fputs(" ?", out);
	for (at = 0; at < e->args_size; at += n + 1) {
		n = strnlen(e->args + at, e->args_size - at);
		print_argument(out, trace__text(x->trace, e->args + at, n));
	}
	if (e->args_cut)
		fputs(" ...", out);
}

static void print_event(struct exec *x, const struct trace_exec_event *e)
{
	FILE *out = trace__out(x->trace);
	char clock[TRACE_CLOCK_SIZE], result[16];

	fprintf(out, "%s %-10s %7u %7u %-15s", trace__clock(x->trace, e->time, clock),
		trace__user(x->trace, e->who.uid), e->who.pid, e->parent.pid,
		trace__text(x->trace, e->who.comm, sizeof(e->who.comm)));
	if (x->failed || x->exits)
		fprintf(out, " %-12s", result_text(e, result));
	if (e->kind == TRACE_EXIT) {
		fprintf(out, " after %.6f s\n", e->lived / 1e9);
		return;
	}
	fprintf(out, " %s%s", e->file_known ? trace__text(x->trace, e->file, sizeof(e->file)) : "?",
		e->file_cut ? "..." : "");
	if (x->args)
		print_args(x, e);
	fputc('\n', out);
}

static void print_head(const struct exec *x)
{
	FILE *out = trace__out(x->trace);

	if (!out || x->by != BY_EVENT)
		return;
	fprintf(out, "%-12s %-10s %7s %7s %-15s", "TIME", "USER", "PID", "PPID", "COMM");
	if (x->failed || x->exits)
		fprintf(out, " %-12s", "RESULT");
	fprintf(out, " EXECUTABLE%s\n", x->args ? " ARGUMENTS" : "");
}

/* ---- records ---- */

static json_t *args_json(const struct trace_exec_event *e)
{
	json_t *list = e->args_known ? json_array() : NULL;
	size_t at, n;

	for (at = 0; list && at < e->args_size; at += n + 1) {
		n = strnlen(e->args + at, e->args_size - at);
		json_array_append_new(list, ecs__bytes(e->args + at, n));
	}
	return list;
}

static void add_exit(struct exec *x, json_t *record, const struct trace_exec_event *e)
{
	json_t *process = json_object_get(record, "process");
	char name[16];

	json_object_set_new(process, "end", ecs__time(trace__realtime(x->trace, e->time)));
	if (WIFEXITED(e->result))
		json_object_set_new(process, "exit_code", json_integer(WEXITSTATUS(e->result)));
	else
		trace__add(record, "signal",
			   json_pack("{s:i, s:s, s:b}", "number", WTERMSIG(e->result), "name",
				     signal_name(WTERMSIG(e->result), name), "core_dumped",
				     WCOREDUMP(e->result) ? 1 : 0));
	json_object_set_new(json_object_get(record, "event"), "duration", json_integer(e->lived));
}

static void add_exec(json_t *record, const struct trace_exec_event *e)
{
	bool failed = e->kind == TRACE_EXEC_FAILED;
	json_t *process = json_object_get(record, "process");
	char name[16];

	json_object_set_new(json_object_get(record, "event"), "outcome",
			    json_string(failed ? "failure" : "success"));
	if (e->args_known)
		json_object_set_new(process, "args", args_json(e));
	if (e->file_cut)
		trace__add(record, "executable_cut", json_true());
	if (e->args_cut)
		trace__add(record, "args_cut", json_true());
	if (!failed)
		return;
	/* The process goes on as what it was: what it tried to become is not its executable. */
	if (e->file_known)
		trace__add(record, "tried", ecs__text(e->file));
	json_object_set_new(record, "error",
			    json_pack("{s:s, s:s}", "code", error_name(-e->result, name), "message",
				      strerror(-e->result)));
}

static json_t *event__json(struct exec *x, const struct trace_exec_event *e)
{
	json_t *record = trace__record(x->trace, e->time, e->kind == TRACE_EXIT ? "exit" : "exec",
				       &e->who, e->parent.pid,
				       e->kind == TRACE_EXEC && e->file_known ? e->file : NULL);
	json_t *parent = json_object_get(json_object_get(record, "process"), "parent");

	if (!record)
		return NULL;
	json_object_set_new(parent, "name", ecs__bytes(e->parent.comm, sizeof(e->parent.comm)));
	if (e->kind == TRACE_EXIT)
		add_exit(x, record, e);
	else
		add_exec(record, e);
	return record;
}

/* ---- sums ---- */

static void count(struct exec *x, const struct trace_exec_event *e)
{
	struct tally_row *row;
	struct who key = { 0 };

	if (x->by == BY_USER)
		key.uid = e->who.uid;
	else if (x->by == BY_PARENT)
		key = e->parent;
	else
		memcpy(key.comm, e->who.comm, sizeof(key.comm));
	row = tally_table__row(x->sums, &key);
	if (row)
		row->sum[e->kind - TRACE_EXEC]++;
	else
		trace__add_lost(x->trace, 1);
}

static void print_sum(struct exec *x, const struct tally_row *r)
{
	const struct who *key = (const struct who *)r->key;
	FILE *out = trace__out(x->trace);

	if (x->by == BY_USER)
		fprintf(out, "%-15s", trace__user(x->trace, key->uid));
	else
		fprintf(out, "%-15s", trace__text(x->trace, key->comm, sizeof(key->comm)));
	if (x->by == BY_PARENT)
		fprintf(out, " %7u", key->pid);
	fprintf(out, " %9llu", (unsigned long long)r->sum[EXECS]);
	if (x->failed)
		fprintf(out, " %9llu", (unsigned long long)r->sum[FAILED]);
	if (x->exits)
		fprintf(out, " %9llu", (unsigned long long)r->sum[EXITS]);
	fputc('\n', out);
}

static void print_sums(struct exec *x, uint64_t now, const struct tally_row *row, size_t n)
{
	FILE *out = trace__out(x->trace);
	char clock[TRACE_CLOCK_SIZE];
	size_t i;

	fprintf(out, "%s\n%-15s", trace__clock(x->trace, now, clock),
		x->by == BY_USER     ? "USER"
		: x->by == BY_PARENT ? "PARENT"
				     : "COMM");
	fprintf(out, "%s %9s%s%s\n", x->by == BY_PARENT ? "     PID" : "", "EXECS",
		x->failed ? "    FAILED" : "", x->exits ? "     EXITS" : "");
	for (i = 0; i < n; i++)
		print_sum(x, &row[i]);
	fputc('\n', out);
}

static json_t *sum__json(struct exec *x, uint64_t now, const struct tally_row *r)
{
	const struct who *key = (const struct who *)r->key;
	json_t *row = trace__metric(x->trace, x->since, now);
	json_t *sums = json_pack("{s:I}", "execs", (json_int_t)r->sum[EXECS]);

	if (x->failed)
		json_object_set_new(sums, "failed", json_integer((json_int_t)r->sum[FAILED]));
	if (x->exits)
		json_object_set_new(sums, "exits", json_integer((json_int_t)r->sum[EXITS]));
	trace__add(row, "exec", sums);
	if (x->by == BY_USER)
		json_object_set_new(row, "user", trace__user_json(x->trace, key->uid));
	else if (x->by == BY_PROCESS)
		json_object_set_new(row, "process",
				    json_pack("{s:o*}", "name",
					      ecs__bytes(key->comm, sizeof(key->comm))));
	else
		json_object_set_new(row, "process",
				    json_pack("{s:{s:I, s:o*}}", "parent", "pid",
					      (json_int_t)key->pid, "name",
					      ecs__bytes(key->comm, sizeof(key->comm))));
	return row;
}

static int exec__interval(void *self, bool last)
{
	struct exec *x = self;
	const struct tally_row *row;
	uint64_t now = trace__now();
	size_t n, i;

	if (x->by == BY_EVENT)
		return last ? 0 : trace__tell_count(x->trace);
	n = tally_table__sorted(x->sums, EXECS, &row);
	if (trace__out(x->trace))
		print_sums(x, now, row, n);
	for (i = 0; !trace__out(x->trace) && i < n; i++)
		trace__write(x->trace, sum__json(x, now, &row[i]));
	tally_table__empty(x->sums);
	x->since = now;
	return 0;
}

/* ---- the tracer ---- */

static void exec__event(void *self, const void *data, size_t size)
{
	const struct trace_exec_event *e = data;
	struct exec *x = self;

	if (size < sizeof(*e))
		return;
	if (x->by != BY_EVENT)
		count(x, e);
	else if (trace__out(x->trace))
		print_event(x, e);
	else
		trace__write(x->trace, event__json(x, e));
}

static int exec__open(void *self, struct trace *t)
{
	struct exec *x = self;
	const struct trace_hook hooks[] = {
		{ .program = "on_exec" },
		{ .program = "on_failed", .off = !x->failed },
		{ .program = "on_exit", .off = !x->exits },
	};
	int err = tally_table__open(&x->sums, sizeof(struct who));

	if (err)
		return fail(err, NULL, "make the table of sums");
	x->trace = t;
	x->skel = trace_exec_bpf__open();
	if (!x->skel)
		return fail(-errno, NULL, "open the exec tracer's programs");
	x->skel->rodata->filter = *trace__filter(t);
	x->skel->rodata->with_args = x->args && x->by == BY_EVENT;
	err = trace__load(t, x->skel->obj, hooks, sizeof(hooks) / sizeof(*hooks));
	x->since = trace__now();
	if (!err)
		print_head(x);
	return err;
}

static void exec__close(void *self)
{
	struct exec *x = self;

	trace_exec_bpf__destroy(x->skel);
	tally_table__close(x->sums);
}

static const struct tracer tracer = {
	.name = "exec",
	.what = "execs",
	.open = exec__open,
	.event = exec__event,
	.interval = exec__interval,
	.close = exec__close,
};

int trace_exec(int argc, char **argv)
{
	struct exec x = { 0 };
	const struct opt opts[] = {
		{ 0, "args", NULL, "show arguments too; they may hold secrets", OPT_FLAG, &x.args,
		  0, 0, NULL },
		{ 0, "failed", NULL, "show also what failed, and why", OPT_FLAG, &x.failed, 0, 0,
		  NULL },
		{ 0, "exits", NULL,
		  "show also the ends of processes: exit code or signal, and how long they lived",
		  OPT_FLAG, &x.exits, 0, 0, NULL },
		{ 0, "by", "KIND", "count by user, process (its name) or parent", OPT_CHOICE, &x.by,
		  0, 0, by_names },
		TRACE_OPTS(&x.opts),
		{ 0 },
	};
	int code = trace__parse(&x.opts, argc, argv, &usage, opts);

	return code < 0 ? trace__run(&x.opts, &tracer, &x) : code;
}
