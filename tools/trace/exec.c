// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace exec: programs as they are started, and how they end. */
#include "tracers.h"

#include <errno.h>
#include "trace.h"
#include "attrib/trace_exec.h"
#include "attrib/trace_exec.skel.h"
#include "xdp/say.h"

static const struct usage usage = {
	.verb = "trace exec",
	.synopsis = "[OPTION]... [interval [count]]",
	.about = "One line for each program that is started.",
};

struct exec {
	struct trace_opts opts;
	struct trace *trace;
	struct trace_exec_bpf *skel;
};

static void exec__event(void *self, const void *data, size_t size)
{
	struct exec *x = self;
	const struct trace_exec_event *e = data;
	char clock[TRACE_CLOCK_SIZE];

	if (size < sizeof(*e))
		return;
	if (!trace__out(x->trace)) {
		trace__write(x->trace, trace__record(x->trace, e->time, "exec", &e->who,
						     e->parent.pid, e->file));
		return;
	}
	fprintf(trace__out(x->trace), "%s %-10s %7u %7u %-16s %s\n",
		trace__clock(x->trace, e->time, clock), trace__user(x->trace, e->who.uid),
		e->who.pid, e->parent.pid, trace__text(x->trace, e->who.comm, sizeof(e->who.comm)),
		trace__text(x->trace, e->file, sizeof(e->file)));
}

static int exec__open(void *self, struct trace *t)
{
	static const struct trace_hook hooks[] = { { .program = "on_exec" } };
	struct exec *x = self;
	int err;

	x->trace = t;
	x->skel = trace_exec_bpf__open();
	if (!x->skel)
		return fail(-errno, NULL, "open the exec tracer's programs");
	x->skel->rodata->filter = *trace__filter(t);
	err = trace__load(t, x->skel->obj, hooks, sizeof(hooks) / sizeof(*hooks));
	if (!err && trace__out(t))
		fprintf(trace__out(t), "%-12s %-10s %7s %7s %-16s %s\n", "TIME", "USER", "PID",
			"PPID", "COMM", "EXECUTABLE");
	return err;
}

static void exec__close(void *self)
{
	trace_exec_bpf__destroy(((struct exec *)self)->skel);
}

static const struct tracer tracer = {
	.name = "exec",
	.what = "execs",
	.open = exec__open,
	.event = exec__event,
	.close = exec__close,
};

int trace_exec(int argc, char **argv)
{
	struct exec x = { 0 };
	const struct opt opts[] = {
		TRACE_OPTS(&x.opts),
		{ 0 },
	};
	int code = trace__parse(&x.opts, argc, argv, &usage, opts);

	return code < 0 ? trace__run(&x.opts, &tracer, &x) : code;
}
