// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho top: who is on the wire, live. */
#include "verbs.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include "tools/opt.h"
#include "tools/pipeline.h"
#include "tools/outputs/screen.h"
#include "tools/outputs/top_json.h"
#include "tools/watch.h"
#include "xdp/say.h"

static const struct usage usage = {
	.verb = "top",
	.synopsis = "[-i IF]... [--by KIND] [interval [count]]",
	.about =
		"Shows which process sends and receives what, every interval (1 s). Without -i it watches every\n"
		"interface that carries an address. Keys: p f u c o choose what a row is, s what it is sorted by,\n"
		"space holds the picture, q ends. The second line is the ledger since the start: `unread` came after the\n"
		"tables were last read, and is in the next picture.",
	.examples = "  wirewho top -i eth0\n"
		    "  wirewho top -i eth0 --by flow 5\n"
		    "  wirewho top -i eth0 --once --json 10 | jq '.rows[0]'\n",
};

struct top_opts {
	struct watch_opts watch;
	int by, sort;
	uint64_t rows;
	unsigned long long interval, count;
	bool once, json, args, no_owners;
};

/* The output that shows: a view, and the screen or the lines it is drawn on. */
struct top {
	struct output base;
	const struct top_opts *opts;
	struct pipeline *pipeline;
	struct view *view;
	struct screen *screen;
	FILE *json;
};

static int top__flow(struct output *o, const struct flow_record *r)
{
	view__add(((struct top *)o)->view, r);
	return 0;
}

static int top__draw(struct top *t)
{
	const struct ledger *ledger = pipeline__ledger(t->pipeline);

	if (t->json)
		return top_json__print(t->json, t->view, t->opts->by, t->opts->sort, t->opts->rows,
				       ledger->now);
	return screen__draw(t->screen, t->view, ledger, pipeline__facts(t->pipeline));
}

static int top__flush(struct output *o)
{
	struct top *t = (struct top *)o;

	if (pipeline__stopping(t->pipeline) || (t->screen && screen__state(t->screen)->paused))
		return 0;
	view__end_interval(t->view, pipeline__ledger(t->pipeline)->now);
	return top__draw(t);
}

static int top__ledger(struct output *o, const struct ledger *l)
{
	struct top *t = (struct top *)o;

	screen__close(t->screen);
	t->screen = NULL;
	ledger__print(l, stderr);
	return 0;
}

static int top__close(struct output *o)
{
	struct top *t = (struct top *)o;

	screen__close(t->screen);
	view__close(t->view);
	if (t->json)
		fclose(t->json);
	free(t);
	return 0;
}

static const struct output_kind output_top = {
	.name = "top",
	.flow = top__flow,
	.flush = top__flush,
	.ledger = top__ledger,
	.close = top__close,
};

static int on_key(void *to)
{
	struct top *t = to;
	enum screen_event event;
	int err = 0;

	while (t->screen && !err && (event = screen__key(t->screen)) != SCREEN_NOTHING) {
		if (event == SCREEN_QUIT)
			pipeline__stop(t->pipeline);
		else
			err = top__draw(t);
		if (event == SCREEN_QUIT)
			break;
	}
	return err;
}

static int open_face(struct top *t)
{
	struct screen_opts s = {
		.state = { .by = t->opts->by, .sort = t->opts->sort },
		.most = t->opts->rows,
		.plain = t->opts->once,
	};
	int err;

	if (t->opts->json) {
		t->json = output__stdout();
		return t->json ? 0 : fail(-errno, NULL, "open standard output");
	}
	err = screen__open(&t->screen, &s);
	if (!err && screen__fd(t->screen) >= 0)
		err = pipeline__watch(t->pipeline, screen__fd(t->screen), on_key, t);
	return err;
}

static int open_top(struct top_opts *o, struct pipeline *pipeline)
{
	struct top *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	*t = (struct top){ .base.kind = &output_top, .opts = o, .pipeline = pipeline };
	err = view__open(&t->view);
	if (!err) {
		view__end_interval(t->view, pipeline__ledger(pipeline)->start);
		err = open_face(t);
	}
	if (!err)
		err = pipeline__take(pipeline, &t->base);
	if (err)
		top__close(&t->base);
	return err;
}

static int run(struct top_opts *o)
{
	struct pipeline_opts p = { .interval_ms = o->interval * 1000,
				   .count = o->count,
				   .no_owners = o->no_owners,
				   .args = o->args };
	struct pipeline *pipeline;
	int err = watch__prepare(&o->watch, &p);

	if (err)
		return err;
	setlocale(LC_CTYPE, "");
	if (pipeline__open(&pipeline, &p))
		return 1;
	err = open_top(o, pipeline);
	if (!err)
		err = pipeline__run(pipeline);
	pipeline__close(pipeline);
	return err ? 1 : 0;
}

/* [interval [count]] */
static int positional(struct top_opts *o, int n, char **args)
{
	if (n > 2) {
		say(SAY_ERROR, "top takes an interval and a count, but got '%s' too", args[2]);
		return -EINVAL;
	}
	if (n > 0 && opt__number(args[0], "interval", 1, 86400, &o->interval))
		return -EINVAL;
	if (n > 1 && opt__number(args[1], "count", 1, 1u << 30, &o->count))
		return -EINVAL;
	if (o->args && !o->json) {
		say(SAY_ERROR,
		    "top shows command lines with --json only: give --json, or leave --args out");
		return -EINVAL;
	}
	if (o->once && n < 2)
		o->count = 1;
	return 0;
}

int verb_top(int argc, char **argv)
{
	struct top_opts o = { .interval = 1 };
	const struct opt opts[] = {
		WATCH_OPTS(&o.watch),
		TABLE_OPTS(&o.watch),
		{ 0, "by", "KIND", "what a row is: process, flow, user, container or port",
		  OPT_CHOICE, &o.by, 0, 0, view_by_names },
		{ 0, "sort", "COLUMN",
		  "what rows are sorted by, downwards: bytes, rx-packets, rx-bytes, tx-packets, tx-bytes or flows",
		  OPT_CHOICE, &o.sort, 0, 0, view_sort_names },
		{ 'n', "rows", "N", "show at most N rows", OPT_NUMBER, &o.rows, 1, 100000, NULL },
		{ 0, "once", NULL, "print the table once, after one interval, and end", OPT_FLAG,
		  &o.once, 0, 0, NULL },
		{ 0, "args", NULL, "with --json: command lines, too; they may hold secrets",
		  OPT_FLAG, &o.args, 0, 0, NULL },
		{ 0, "json", NULL, "print the rows as JSON, an object a line for each interval",
		  OPT_FLAG, &o.json, 0, 0, NULL },
		{ 0, "no-owners", NULL, "count only: name no process", OPT_FLAG, &o.no_owners, 0, 0,
		  NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), code = 2;

	if (first == OPT_HELPED)
		code = 0;
	else if (first >= 0 && !positional(&o, argc - first, argv + first))
		code = run(&o);
	watch__free(&o.watch);
	return code;
}
