// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace packets: packets and bytes each interval, by process or by port; the pipeline's own counts. */
#include "tracers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "filter.h"
#include "tools/opt.h"
#include "tools/outputs/ecs.h"
#include "tools/outputs/ledger_json.h"
#include "tools/outputs/view.h"
#include "tools/pipeline.h"
#include "tools/watch.h"
#include "xdp/say.h"

#define NS 1000000000ull
#define PORTS_MAX 16

static const struct usage usage = {
	.verb = "trace packets",
	.synopsis = "[-i IF]... [--port N]... [interval [count]]",
	.about =
		"Packets and bytes as they are on the wire, both ways, every interval (1 s): a line for each process, or with\n"
		"--by port for each port. --no-owners loads no owner program: then the XDP and tc counters stand alone, and\n"
		"a line is a port. -p, -u, --comm and --cgroup choose lines: when a packet is counted, its owner is not known yet.",
	.examples =
		"  wirewho trace packets -i eth0 --port 443          who speaks HTTPS, every second\n"
		"  wirewho trace packets -i eth0 --no-owners 10      every port, every ten seconds\n",
};

static const char *const by_names[] = { "process", "port", NULL };
enum { BY_UNSAID = -1, BY_PROCESS, BY_PORT };

struct packets_opts {
	struct watch_opts watch;
	struct opt_list ports;
	char match[PORTS_MAX][16]; /* "port N" */
	int by;
	struct who_opts whom;
	struct trace_filter filter;
	const char *jsonl;
	unsigned long long interval, count;
	bool no_owners;
};

/* The output: a view, printed at the end of each interval. */
struct packets {
	struct output base;
	const struct packets_opts *opts;
	struct pipeline *pipeline;
	struct view *view;
	FILE *file;
	const char *name; /* of the file, for error lines */
	uint64_t told;    /* intervals */
	uint64_t last;    /* CLOCK_REALTIME ns: where this interval began */
};

static enum view_by by(const struct packets *p)
{
	return p->opts->by == BY_PORT ? VIEW_PORT : VIEW_PROCESS;
}

static bool is_wanted(const struct packets_opts *o, const struct flow_record *r)
{
	const struct who *who = r->process ? &r->process->who : r->flow->who;

	if (who_opts__any(&o->whom))
		return true;
	return who && who_opts__takes(&o->whom, &o->filter, who, r->process);
}

static int packets__flow(struct output *o, const struct flow_record *r)
{
	struct packets *p = (struct packets *)o;

	if (is_wanted(p->opts, r))
		view__add(p->view, r);
	return 0;
}

static int print_rows(struct packets *p, uint64_t now)
{
	struct view_table table = { .by = by(p),
				    .sort = VIEW_SORT_BYTES,
				    .facts = pipeline__facts(p->pipeline) };
	time_t seconds = now / NS;
	struct tm local;
	char text[16];

	localtime_r(&seconds, &local);
	strftime(text, sizeof(text), "%H:%M:%S", &local);
	fprintf(p->file, "%s\n", text);
	return view__print(p->view, p->file, &table);
}

static json_t *count__json(const struct count *n)
{
	return json_pack("{s:I, s:I}", "packets", (json_int_t)n->packets, "bytes",
			 (json_int_t)n->bytes);
}

/* Whose, or which port's, the row is. */
static json_t *subject__json(const struct packets *p, const struct view_row *r)
{
	char id[16];

	if (r->name)
		return json_pack("{}");
	if (by(p) == VIEW_PORT)
		return json_pack("{s:{s:s}, s:{s:i}}", "network", "transport",
				 r->key.proto == IPPROTO_TCP ? "tcp" : "udp", "destination", "port",
				 (int)ntohs(r->key.dport));
	snprintf(id, sizeof(id), "%u", r->uid);
	return json_pack("{s:{s:I, s:o*, s:o*}, s:{s:s, s:o*}, s:o*}", "process", "pid",
			 (json_int_t)r->pid, "name", ecs__text(r->comm), "executable",
			 ecs__text(r->exe), "user", "id", id, "name", ecs__text(r->user),
			 "container", ecs__container(r->container));
}

/* Takes the reference; NULL: it could not be made. */
static int write_record(struct packets *p, json_t *record)
{
	int err;

	if (!record)
		return -ENOMEM;
	errno = 0;
	err = json_dumpf(record, p->file, JSON_COMPACT) || fputc('\n', p->file) == EOF;
	json_decref(record);
	return err ? (errno ? -errno : -EIO) : 0;
}

static int write_row(struct packets *p, const struct view_row *r, uint64_t now)
{
	json_t *record = json_pack("{s:o, s:{s:s, s:s, s:o, s:o}, s:{s:o, s:o, s:I}}", "@timestamp",
				   ecs__time(now), "event", "kind", "metric", "action", "packets",
				   "start", ecs__time(p->last), "end", ecs__time(now), "wirewho",
				   "received", count__json(&r->received), "sent",
				   count__json(&r->sent), "flows", (json_int_t)r->flows);
	json_t *ours = json_object_get(record, "wirewho");

	if (!p->opts->no_owners)
		json_object_set_new(ours, "attribution", json_string(owner_how_names[r->how]));
	if (r->name)
		json_object_set_new(ours, "rest", json_string(r->name));
	json_object_update_new(record, subject__json(p, r));
	return write_record(p, record);
}

static int write_rows(struct packets *p, uint64_t now)
{
	const struct view_row *const *rows;
	size_t n = view__rows(p->view, by(p), VIEW_SORT_BYTES, &rows), i;
	int err = 0;

	for (i = 0; i < n && !err; i++)
		err = write_row(p, rows[i], now);
	return err;
}

/* The last interval may be cut short: records tell what is left too, so that they add up; the table was asked so often. */
static int packets__flush(struct output *o)
{
	struct packets *p = (struct packets *)o;
	uint64_t now = pipeline__ledger(p->pipeline)->now;
	int err;

	if (pipeline__stopping(p->pipeline) && p->opts->count && !p->opts->jsonl &&
	    p->told >= p->opts->count)
		return 0;
	p->told++;
	view__end_interval(p->view, now);
	err = p->opts->jsonl ? write_rows(p, now) : print_rows(p, now);
	p->last = now;
	errno = 0;
	if (!err && fflush(p->file))
		err = errno ? -errno : -EIO;
	return err ? fail(err, NULL, "write to %s", p->name) : 0;
}

static int packets__ledger(struct output *o, const struct ledger *l)
{
	struct packets *p = (struct packets *)o;
	int err;

	ledger__print(l, stderr);
	if (!p->opts->jsonl)
		return 0;
	err = write_record(p, ledger__json(pipeline__facts(p->pipeline), l));
	return err ? fail(err, NULL, "write to %s", p->name) : 0;
}

static int packets__close(struct output *o)
{
	struct packets *p = (struct packets *)o;
	int err = 0;

	view__close(p->view);
	if (p->file && fclose(p->file))
		err = fail(-errno, NULL, "write to %s", p->name);
	free(p);
	return err;
}

static const struct output_kind output_packets = {
	.name = "packets",
	.flow = packets__flow,
	.flush = packets__flush,
	.ledger = packets__ledger,
	.close = packets__close,
};

static int open_file(struct packets *p)
{
	bool to_stdout = !p->opts->jsonl || !strcmp(p->opts->jsonl, "-");

	p->name = to_stdout ? "standard output" : p->opts->jsonl;
	p->file = to_stdout ? output__stdout() : fopen(p->name, "we");
	return p->file ? 0 : fail(-errno, NULL, "write to %s", p->name);
}

static int open_output(const struct packets_opts *o, struct pipeline *pipeline)
{
	struct packets *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	*p = (struct packets){ .base.kind = &output_packets, .opts = o, .pipeline = pipeline };
	err = view__open(&p->view);
	if (!err)
		err = open_file(p);
	if (err) {
		packets__close(&p->base);
		return err;
	}
	p->last = pipeline__ledger(pipeline)->now;
	view__end_interval(p->view, p->last);
	return pipeline__take(pipeline, &p->base);
}

/* The path is compared; opening it has only shown that it is there. */
static int take_whom(struct packets_opts *o)
{
	int cgroup, err;

	if (o->no_owners && !who_opts__any(&o->whom)) {
		say(SAY_ERROR,
		    "--no-owners knows nobody that could be asked for: leave it out, or -p, -u, "
		    "--comm and --cgroup");
		return -EINVAL;
	}
	err = who_opts__take(&o->whom, &o->filter, &cgroup);
	if (cgroup >= 0)
		close(cgroup);
	return err;
}

static int run(struct packets_opts *o)
{
	struct pipeline_opts p = { .interval_ms = o->interval * 1000,
				   .count = o->count,
				   .no_owners = o->no_owners };
	struct pipeline *pipeline;
	int err = take_whom(o);

	if (err)
		return err == -EINVAL ? 2 : 1;
	err = watch__prepare(&o->watch, &p);
	if (err)
		return err;
	if (pipeline__open(&pipeline, &p))
		return 1;
	err = open_output(o, pipeline);
	if (!err)
		err = pipeline__run(pipeline);
	pipeline__close(pipeline);
	return err ? 1 : 0;
}

/* --port N is a match like any other. */
static int take_ports(struct packets_opts *o)
{
	size_t all = o->watch.matches.n + o->ports.n, i;
	unsigned long long port;
	const char **more;

	if (o->ports.n > PORTS_MAX) {
		say(SAY_ERROR, "--port may be given %d times at most", PORTS_MAX);
		return -EINVAL;
	}
	more = realloc(o->watch.matches.item, (all + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	o->watch.matches.item = more;
	for (i = 0; i < o->ports.n; i++) {
		if (opt__number(o->ports.item[i], "--port", 1, 65535, &port))
			return -EINVAL;
		snprintf(o->match[i], sizeof(o->match[i]), "port %llu", port);
		more[o->watch.matches.n++] = o->match[i];
	}
	return 0;
}

/* [interval [count]] */
static int take_interval(struct packets_opts *o, int n, char **args)
{
	if (n > 2) {
		say(SAY_ERROR, "trace packets takes an interval and a count, but got '%s' too",
		    args[2]);
		return -EINVAL;
	}
	if (n > 0 && opt__number(args[0], "interval", 1, 86400, &o->interval))
		return -EINVAL;
	if (n > 1 && opt__number(args[1], "count", 1, 1u << 30, &o->count))
		return -EINVAL;
	if (o->no_owners && o->by == BY_PROCESS) {
		say(SAY_ERROR,
		    "--by process with --no-owners: no process is known then; leave the one or the other out");
		return -EINVAL;
	}
	if (o->by == BY_UNSAID)
		o->by = o->no_owners ? BY_PORT : BY_PROCESS;
	return take_ports(o);
}

int trace_packets(int argc, char **argv)
{
	struct packets_opts o = { .interval = 1, .by = BY_UNSAID };
	const struct opt opts[] = {
		{ 0, "port", "N", "only this port, at either end; may be given several times",
		  OPT_LIST, &o.ports, 0, 0, NULL },
		{ 0, "by", "KIND", "what a line is: process (where not said), or port", OPT_CHOICE,
		  &o.by, 0, 0, by_names },
		{ 0, "no-owners", NULL, "count only, by port; no owner program is loaded", OPT_FLAG,
		  &o.no_owners, 0, 0, NULL },
		{ 0, "jsonl", "FILE",
		  "write JSON lines to FILE, or to stdout with -, instead of text", OPT_TEXT,
		  &o.jsonl, 0, 0, NULL },
		WHO_OPTS(&o.whom),
		WATCH_OPTS(&o.watch),
		TABLE_OPTS(&o.watch),
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), code = 2;

	if (first == OPT_HELPED)
		code = 0;
	else if (first >= 0 && !take_interval(&o, argc - first, argv + first))
		code = run(&o);
	watch__free(&o.watch);
	opt_list__free(&o.ports);
	return code;
}
