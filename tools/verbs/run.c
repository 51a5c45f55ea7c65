// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho run: the daemon. Every interval a record for each flow that moved, at the end the ledger. */
#include "verbs.h"

#include <stddef.h>
#include <stdio.h>
#include "tools/opt.h"
#include "tools/pipeline.h"
#include "tools/watch.h"
#include "xdp/say.h"

static const struct usage usage = {
	.verb = "run",
	.synopsis = "[-i IF]... --jsonl FILE|-",
	.about =
		"Counts every packet of the interfaces, names the process at this host's end, and writes a record\n"
		"for each flow that moved in an interval. The last line is the ledger. Without -i it watches every\n"
		"interface that carries an address. Ends on SIGINT or SIGTERM.",
	.examples = "  wirewho run -i eth0 --jsonl flows.jsonl\n"
		    "  wirewho run -i eth0 --jsonl - --interval 1 | jq .process.name\n",
};

struct run_opts {
	struct watch_opts watch;
	const char *jsonl;
	uint64_t interval, count;
	bool args, no_owners;
};

static int run(struct run_opts *o)
{
	struct pipeline_opts p = { .interval_ms = o->interval * 1000,
				   .count = o->count,
				   .no_owners = o->no_owners,
				   .args = o->args };
	struct pipeline *pipeline;
	struct output *output;
	int err = watch__prepare(&o->watch, &p);

	if (err)
		return err;
	if (pipeline__open(&pipeline, &p))
		return 1;
	err = output_jsonl.open(&output, o->jsonl, pipeline__facts(pipeline));
	if (!err)
		err = pipeline__take(pipeline, output);
	if (!err) {
		err = pipeline__run(pipeline);
		ledger__print(pipeline__ledger(pipeline), stderr);
	}
	pipeline__close(pipeline);
	return err ? 1 : 0;
}

int verb_run(int argc, char **argv)
{
	struct run_opts o = { .interval = 10 };
	const struct opt opts[] = {
		WATCH_OPTS(&o.watch),
		TABLE_OPTS(&o.watch),
		{ 0, "jsonl", "FILE", "write records as JSON lines to FILE, or to stdout with -",
		  OPT_TEXT, &o.jsonl, 0, 0, NULL },
		{ 0, "interval", "S", "seconds between the records of a flow (10)", OPT_NUMBER,
		  &o.interval, 1, 86400, NULL },
		{ 0, "args", NULL, "command lines, too, in records: they may hold secrets",
		  OPT_FLAG, &o.args, 0, 0, NULL },
		{ 0, "count", "N", "end after N intervals", OPT_NUMBER, &o.count, 1, 1u << 30,
		  NULL },
		{ 0, "no-owners", NULL, "count only: name no process", OPT_FLAG, &o.no_owners, 0, 0,
		  NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), code = 2;

	if (first == OPT_HELPED)
		code = 0;
	else if (first >= 0 && first < argc)
		say(SAY_ERROR, "run takes no argument, but got '%s'; see `wirewho run --help`",
		    argv[first]);
	else if (first >= 0 && !o.jsonl)
		say(SAY_ERROR, "run needs an output: --jsonl FILE, or --jsonl - for stdout");
	else if (first >= 0)
		code = run(&o);
	watch__free(&o.watch);
	return code;
}
