// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench/xsk: frames a second into AF_XDP. Live frames from one CPU, a veth pair, native XDP at the other end, and there:
 *
 *   bare   a program that redirects, and a loop that drops, as the kernel's own example does (bare.h)
 *   tap    program and engine as `wirewho capture --sample tap` runs them: stamped with the time, parsed, counted by flow
 *   match  the same, of frames that the program selects first
 *   file   as tap, and the first 128 bytes of each frame into a pcapng file, by the capture's own sink
 *
 * The sender's CPU also runs the receiving NAPI, within the sender's call, and with it the XDP program; the receiving thread
 * (and the one that writes the file) has another CPU. They take turns, and the order changes from round to round. What counts is what was delivered. Every frame
 * must be accounted for in each round: else the bench fails.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "af_xdp/engine.h"
#include "bare.h"
#include "generator.h"
#include "room.h"
#include "tools/capture/capture.h"
#include "tools/opt.h"
#include "xdp/meter.h"
#include "xdp/say.h"

#define OUT_END "bench-out"
#define IN_END "bench-in"
#define SELECTION "tcp port 443"
#define SNAPLEN 128
#define FLOWS (1u << 18) /* as `wirewho capture` has */

#define WAYS(X) X(BARE, "bare") X(TAP, "tap") X(MATCH, "match") X(TO_FILE, "file")

enum {
#define X(id, name) id,
	WAYS(X)
#undef X
		WAY_N
};

static const char *const names[] = {
#define X(id, name) name,
	WAYS(X)
#undef X
};

struct options {
	uint64_t rounds, seconds, size, flows, cpu, receiver;
	bool quick;
	const char *json, *file;
};

struct setup {
	const struct options *opts;
	struct generator *generator;
	struct match match;
};

/* One way, one round. Every frame that was sent is delivered or dropped, and what was delivered is dropped or written. */
struct outcome {
	double seconds;
	uint64_t sent, delivered, rx_dropped, rx_ring_full, written, output_dropped;
};

struct sums {
	double pps[MIDDLE_MOST], part[MIDDLE_MOST];
	struct outcome all;
};

static int equal(const char *way, const char *what, uint64_t left, uint64_t right)
{
	if (left == right)
		return 0;
	say(SAY_ERROR, "%s does not add up: %s: %llu and %llu", way, what, (unsigned long long)left,
	    (unsigned long long)right);
	return -EIO;
}

static int send_frames(const struct setup *s, struct outcome *o)
{
	struct generated sent;
	int err = generator__send(s->generator, 0, s->opts->seconds, &sent);

	o->sent = sent.sent;
	o->seconds = sent.seconds;
	return err;
}

/* ---- bare ---- */

static int run_bare(struct setup *s, struct outcome *o)
{
	struct xdp_statistics stats;
	struct bare *b;
	int err = bare__open(&b, IN_END, s->opts->receiver);

	if (err)
		return err;
	err = send_frames(s, o);
	o->delivered = bare__stop(b, &stats);
	o->rx_dropped = stats.rx_dropped;
	o->rx_ring_full = stats.rx_ring_full;
	bare__close(b);
	return err ? err
		   : equal("bare", "sent = delivered + rx_dropped + rx_ring_full", o->sent,
			   o->delivered + o->rx_dropped + o->rx_ring_full);
}

/* ---- meter and engine ---- */

struct tap {
	struct meter *meter;
	struct engine *engine;
	struct capture_sink sink;
	int way;
	uint64_t bytes;
};

static void on_frame(void *to, unsigned lane, const struct frame *f)
{
	struct tap *t = to;

	(void)lane;
	t->bytes += f->length;
}

static void on_batch(void *to, unsigned lane)
{
	(void)to, (void)lane;
}

static int open_meter(struct tap *t, const struct setup *s)
{
	const struct meter_opts opts = { .mode = RECEIVE_NATIVE,
					 .match = t->way == MATCH ? &s->match : NULL,
					 .sampling = { .mode = SAMPLE_MODE_TAP } };
	int err = meter__open(&t->meter, &opts);

	if (!err)
		err = meter__add(t->meter, IN_END);
	return err < 0 ? err : meter__attach(t->meter, 0);
}

static int open_sink(struct tap *t, const struct setup *s)
{
	static const char *const ifname[] = { IN_END };
	static const struct capture_filter_opts none;
	const struct capture_opts opts = { .ifname = ifname,
					   .links = 1,
					   .path = s->opts->file,
					   .expression = SELECTION,
					   .sample = SAMPLE_MODE_TAP,
					   .snaplen = SNAPLEN,
					   .filter = &none };
	int err = capture_sink__open(&t->sink, &opts, 1);

	return err ? err : spool__start(t->sink.spool);
}

static int open_engine(struct tap *t)
{
	const struct engine_opts opts = {
		.bind = BIND_COPY,
		.flows = FLOWS,
		.sink = t->way == TO_FILE ? capture_sink__frames(&t->sink)
					  : (struct frame_sink){ t, on_frame, on_batch }
	};
	const struct engine_link k = { .ifname = IN_END,
				       .driver = "veth",
				       .mtu = 1500,
				       .queues = 1,
				       .sockets_fd = meter__sockets_fd(t->meter, 0),
				       .arrivals = meter__arrivals(t->meter, 0) };
	int err = engine__open(&t->engine, &opts);

	if (!err)
		err = engine__add(t->engine, &k);
	return err ? err : engine__start(t->engine);
}

/* From the driver to the engine. */
static int check_receipt(const char *way, const struct outcome *o, const struct tally *t)
{
	uint64_t redirected = t->sample[SAMPLE_REDIRECTED].packets;
	int err = equal(way, "sent = seen", o->sent, t->seen.packets);

	if (!err)
		err = equal(way, "seen = redirected", t->seen.packets, redirected);
	return err ? err
		   : equal(way, "redirected = delivered + rx_dropped + rx_ring_full", redirected,
			   o->delivered + o->rx_dropped + o->rx_ring_full);
}

/* What the program counted and what the flows hold: all frames are of one length. */
static int check_flows(const char *way, const struct outcome *o, const struct setup *s,
		       const struct flow_sums *f)
{
	int err = equal(way, "delivered = in flows", o->delivered, f->in_flows.packets);

	if (!err)
		err = equal(way, "their bytes", o->delivered * s->opts->size, f->in_flows.bytes);
	return err ? err : equal(way, "flows", s->opts->flows, f->flows);
}

/* From the engine on. */
static int check_file(struct tap *t, struct outcome *o)
{
	struct capture_losses l = {};

	if (spool__finish(t->sink.spool, NULL, 0))
		return -EIO;
	capture_losses__output(&l, &t->sink);
	o->written = l.written;
	o->output_dropped = l.output_dropped;
	return equal("file", "delivered = written + output_dropped", o->delivered,
		     l.written + l.output_dropped);
}

static int end_tap(struct tap *t, const struct setup *s, struct outcome *o)
{
	struct engine_stats stats;
	struct flow_sums flows;
	struct tally tally;
	int err;

	meter__detach(t->meter);
	engine__stop(t->engine);
	harvest__tally(meter__harvest(t->meter), 0, -1, &tally);
	engine__stats(t->engine, 0, &stats);
	engine__flows(t->engine, 0, &flows);
	o->delivered = stats.delivered;
	o->rx_dropped = stats.rx_dropped;
	o->rx_ring_full = stats.rx_ring_full;
	err = check_receipt(names[t->way], o, &tally);
	if (!err)
		err = check_flows(names[t->way], o, s, &flows);
	return err || t->way != TO_FILE ? err : check_file(t, o);
}

/* Threads start where their maker is: the engine's and the writer's off the sender's CPU. */
static int start_tap(struct tap *t, const struct setup *s)
{
	int err = generator__pin(s->opts->receiver);

	if (!err && t->way == TO_FILE)
		err = open_sink(t, s);
	if (!err)
		err = open_engine(t);
	return err ? err : generator__pin(s->opts->cpu);
}

static int run_tap(struct setup *s, int way, struct outcome *o)
{
	struct tap t = { .way = way };
	int err = open_meter(&t, s);

	if (!err)
		err = start_tap(&t, s);
	if (!err && way == TO_FILE)
		room__warm(s->opts->seconds);
	if (!err)
		err = send_frames(s, o);
	if (!err)
		err = end_tap(&t, s, o);
	meter__close(t.meter);
	engine__close(t.engine);
	if (way == TO_FILE && t.sink.spool) {
		spool__finish(t.sink.spool, NULL, 0);
		capture_sink__close(&t.sink);
		unlink(s->opts->file);
	}
	return err;
}

/* ---- rounds ---- */

static void add(struct outcome *to, const struct outcome *o)
{
	to->seconds += o->seconds;
	to->sent += o->sent;
	to->delivered += o->delivered;
	to->rx_dropped += o->rx_dropped;
	to->rx_ring_full += o->rx_ring_full;
	to->written += o->written;
	to->output_dropped += o->output_dropped;
}

static int run_round(struct setup *s, uint64_t round, struct sums sum[WAY_N])
{
	int i, err = 0;

	for (i = 0; i < WAY_N && !err; i++) {
		int way = (i + round) % WAY_N;
		struct outcome o = {};

		err = way == BARE ? run_bare(s, &o) : run_tap(s, way, &o);
		sum[way].pps[round] = (way == TO_FILE ? o.written : o.delivered) /
				      (o.seconds ? o.seconds : 1);
		add(&sum[way].all, &o);
	}
	for (i = 0; i < WAY_N; i++)
		sum[i].part[round] = sum[i].pps[round] / sum[BARE].pps[round];
	return err;
}

/* ---- what came out ---- */

static void print_head(const struct options *o)
{
	printf("IPv4 TCP, %llu flows, %llu bytes a frame; sender, NAPI and XDP on CPU %llu, the receiving thread on CPU %llu;\n"
	       "AF_XDP copy mode; %llu rounds of %llu s; Mpps: median (min-max); file: %d bytes of each frame to %s\n",
	       (unsigned long long)o->flows, (unsigned long long)o->size,
	       (unsigned long long)o->cpu, (unsigned long long)o->receiver,
	       (unsigned long long)o->rounds, (unsigned long long)o->seconds, SNAPLEN, o->file);
	printf("%-6s %-20s %-8s %12s %12s %12s %12s %12s\n", "", "Mpps", "of bare", "sent",
	       "delivered", "rx_dropped", "written", "out_dropped");
}

static void print_row(int way, const struct sums *s, size_t rounds)
{
	struct middle m = middle(s->pps, rounds);

	printf("%-6s %5.2f (%5.2f-%5.2f)  %-8.3f %12llu %12llu %12llu %12llu %12llu\n", names[way],
	       m.median / 1e6, m.low / 1e6, m.high / 1e6, middle(s->part, rounds).median,
	       (unsigned long long)s->all.sent, (unsigned long long)s->all.delivered,
	       (unsigned long long)(s->all.rx_dropped + s->all.rx_ring_full),
	       (unsigned long long)s->all.written, (unsigned long long)s->all.output_dropped);
}

static json_t *row_json(int way, const struct sums *s, size_t rounds)
{
	const struct outcome *o = &s->all;

	return json_pack("{s:s,s:o,s:o,s:I,s:I,s:I,s:I,s:I,s:I}", "way", names[way], "pps",
			 middle__json(middle(s->pps, rounds)), "to_bare",
			 middle__json(middle(s->part, rounds)), "sent", (json_int_t)o->sent,
			 "delivered", (json_int_t)o->delivered, "rx_dropped",
			 (json_int_t)o->rx_dropped, "rx_ring_full", (json_int_t)o->rx_ring_full,
			 "written", (json_int_t)o->written, "output_dropped",
			 (json_int_t)o->output_dropped);
}

static int write_json(const struct options *o, const struct sums sum[WAY_N])
{
	json_t *rows = json_array(), *all;
	int i, err;

	for (i = 0; i < WAY_N; i++)
		json_array_append_new(rows, row_json(i, &sum[i], o->rounds));
	all = json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "frame_bytes", (json_int_t)o->size,
			"flows", (json_int_t)o->flows, "sender_cpu", (json_int_t)o->cpu,
			"receiver_cpu", (json_int_t)o->receiver, "rounds", (json_int_t)o->rounds,
			"seconds", (json_int_t)o->seconds, "rows", rows);
	err = json_dump_file(all, o->json, JSON_INDENT(1));
	json_decref(all);
	return err ? fail(-errno, NULL, "write %s", o->json) : 0;
}

static int run(const struct options *o)
{
	struct generator_opts opts = { .ifname = OUT_END, .flows = o->flows, .size = o->size };
	struct setup s = { .opts = o };
	struct sums sum[WAY_N] = {};
	char why[80];
	unsigned at;
	uint64_t r;
	int i, err = match__compile(&s.match, SELECTION, &at, why, sizeof(why));

	if (!err)
		err = generator__open(&s.generator, &opts);
	if (err)
		return err;
	print_head(o);
	for (r = 0; r < o->rounds && !err; r++)
		err = run_round(&s, r, sum);
	for (i = 0; i < WAY_N && !err; i++)
		print_row(i, &sum[i], o->rounds);
	generator__close(s.generator);
	return err || !o->json ? err : write_json(o, sum);
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

static const struct usage usage = {
	.verb = "xsk",
	.synopsis = "[--rounds N] [--seconds S] [--flows N] [--json FILE]",
	.about =
		"Frames a second from one CPU over a veth pair into AF_XDP: a bare redirect-and-drop loop; our meter and "
		"engine; the same into a file. Makes its own network namespace.",
};

int main(int argc, char **argv)
{
	struct options o = { .rounds = 7,
			     .seconds = 2,
			     .size = 60,
			     .flows = 4096,
			     .receiver = 1,
			     .file = "/dev/shm/wirewho-bench.pcapng" };
	const struct opt opts[] = {
		{ 0, "rounds", "N", "rounds (7)", OPT_NUMBER, &o.rounds, 1, MIDDLE_MOST, NULL },
		{ 0, "seconds", "S", "seconds a round and way (2)", OPT_NUMBER, &o.seconds, 1, 3600,
		  NULL },
		{ 0, "flows", "N", "how many flows (4096)", OPT_NUMBER, &o.flows, 1, FLOWS, NULL },
		{ 0, "size", "B", "bytes of a frame, without FCS (60)", OPT_NUMBER, &o.size, 54,
		  1514, NULL },
		{ 0, "cpu", "N", "the sender's CPU (0)", OPT_NUMBER, &o.cpu, 0, 1023, NULL },
		{ 0, "receiver", "N", "the receiving thread's CPU (1)", OPT_NUMBER, &o.receiver, 0,
		  1023, NULL },
		{ 0, "file", "FILE", "written and removed (/dev/shm/wirewho-bench.pcapng)",
		  OPT_TEXT, &o.file, 0, 0, NULL },
		{ 0, "quick", NULL, "5 rounds of 1 s", OPT_FLAG, &o.quick, 0, 0, NULL },
		{ 0, "json", "FILE", "write the figures to FILE too", OPT_TEXT, &o.json, 0, 0,
		  NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), err;

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	if (first < argc)
		return 2;
	if (o.quick)
		o.rounds = 5, o.seconds = 1;
	setlinebuf(stdout);
	libbpf_set_print(print);
	say__set_level(SAY_ERROR);
	err = generator__pin(o.cpu);
	if (!err && setpriority(PRIO_PROCESS, 0, -20))
		err = fail(-errno, "run as root", "raise the priority");
	if (!err)
		err = room__open(OUT_END, IN_END);
	if (!err)
		err = run(&o);
	return err ? 1 : 0;
}
