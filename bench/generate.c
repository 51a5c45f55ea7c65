// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* bench/generator: the generator as a program, for shells. Ends early on SIGINT or SIGTERM, and says what it sent all the same. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "senders.h"
#include "tools/opt.h"
#include "xdp/say.h"

#define CPU_ANY UINT64_MAX
#define THREADS_MOST 64

enum { AUTO, PKTGEN, LIVE, PACKETS };
static const char *const ways[] = { "auto", "pktgen", "live", "packets", NULL };
static const char *const way_names[] = { "", "pktgen", "live frames", "packet socket" };

struct options {
	const char *ifname, *json, *replay;
	uint64_t flows, frames, seconds, size, cpu, rate, zipf, threads;
	bool ip6, udp, imix, alone;
	int way;
};

static const struct usage usage = {
	.program = ".build/bench/generator",
	.synopsis = "-i IF [--flows N] [--packets N | --seconds S] [--size B] [--json FILE]",
	.about =
		"Sends frames out of a veth end as fast as it can, and prints exactly how many: frames made, sent and refused (the\n"
		"ring at the other end was full). By the kernel's pktgen where there is one that can send these frames; else\n"
		"live frames out of a BPF program (the other end needs XDP or GRO enabled); else, for frames longer than 3400 bytes\n"
		"and for --replay, through a packet socket. The result names which.",
};

static int print(const struct options *o, const struct sending *s, int way,
		 const struct generated *sent)
{
	json_t *json;
	int err;

	if (!o->json) {
		printf("sent %llu packets, %llu bytes in %.3f s, %.0f a second; %llu refused; by %s, threads: %u\n",
		       (unsigned long long)sent->sent, (unsigned long long)sent->bytes,
		       sent->seconds, sent->sent / sent->seconds, (unsigned long long)sent->refused,
		       way_names[way], s->threads);
		return 0;
	}
	json = json_pack("{s:I,s:I,s:I,s:I,s:f,s:s,s:I,s:{s:f,s:f,s:f,s:f}}", "made",
			 (json_int_t)sent->made, "sent", (json_int_t)sent->sent, "bytes",
			 (json_int_t)sent->bytes, "refused", (json_int_t)sent->refused, "seconds",
			 sent->seconds, "generator", way_names[way], "threads",
			 (json_int_t)s->threads, "cpu", "user", sent->spent.user, "system",
			 sent->spent.system, "softirq", sent->spent.softirq, "busy",
			 sent->spent.busy);
	if (strcmp(o->json, "-")) {
		err = json_dump_file(json, o->json, JSON_COMPACT);
	} else {
		err = json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(json);
	return err ? fail(-errno, NULL, "write %s", o->json) : 0;
}

/* ---- live frames, by one thread or several ---- */

struct sender {
	const struct sending *all;
	unsigned number;
	struct generated sent;
	pthread_t thread;
	int err;
};

static void *send_part(void *to)
{
	struct sender *t = to;
	const struct sending *s = t->all;
	struct generator_opts opts = s->opts;
	uint64_t frames = s->frames / s->threads + (t->number < s->frames % s->threads);
	struct generator *g = NULL;

	if (s->threads > 1) {
		opts.part = t->number;
		opts.parts = s->threads;
		opts.rate = (opts.rate + s->threads - 1) / s->threads;
	}
	t->err = s->cpu == (unsigned)CPU_ANY ? 0 : generator__pin(s->cpu + t->number);
	if (!t->err)
		t->err = generator__open(&g, &opts);
	if (!t->err)
		t->err = generator__send(g, frames, s->seconds, &t->sent);
	generator__close(g);
	return NULL;
}

static int count_sent(const struct sending *s, const uint64_t before[2], struct generated *out)
{
	int err = driver__counter(s->opts.ifname, "_xdp_xmit", &out->sent);

	if (!err)
		err = driver__counter(s->opts.ifname, "_xdp_xmit_errors", &out->refused);
	out->sent -= before[0];
	out->refused -= before[1];
	if (!s->opts.imix)
		out->bytes = out->sent * s->opts.size;
	if (!err && out->sent + out->refused != out->made) {
		say(SAY_ERROR, "of %llu frames %llu left and %llu were refused",
		    (unsigned long long)out->made, (unsigned long long)out->sent,
		    (unsigned long long)out->refused);
		err = -EPIPE;
	}
	return err;
}

static int send_parts(const struct sending *s, struct sender *t, struct generated *out)
{
	unsigned i, started;
	int err = 0;

	for (started = 0; started < s->threads && !err; started += !err) {
		t[started].all = s;
		t[started].number = started;
		err = -pthread_create(&t[started].thread, NULL, send_part, &t[started]);
	}
	for (i = 0; i < started; i++) {
		pthread_join(t[i].thread, NULL);
		err = err ? err : t[i].err;
		out->made += t[i].sent.made;
		out->bytes += t[i].sent.bytes;
		if (t[i].sent.seconds > out->seconds)
			out->seconds = t[i].sent.seconds;
		out->spent = t[i].sent.spent;
	}
	return err;
}

static int send_live(const struct sending *s, struct generated *out)
{
	struct sender threads[THREADS_MOST] = { 0 };
	uint64_t before[2] = { 0, 0 };
	int err = 0;

	*out = (struct generated){ 0 };
	if (s->threads == 1) {
		threads[0].all = s;
		send_part(&threads[0]);
		*out = threads[0].sent;
		if (s->opts.alone)
			out->sent = out->made;
		return threads[0].err;
	}
	if (!s->opts.alone)
		err = driver__counter(s->opts.ifname, "_xdp_xmit", &before[0]);
	if (!err && !s->opts.alone)
		err = driver__counter(s->opts.ifname, "_xdp_xmit_errors", &before[1]);
	if (!err)
		err = send_parts(s, threads, out);
	if (s->opts.alone)
		out->sent = out->made;
	return err || s->opts.alone ? err : count_sent(s, before, out);
}

/* ---- which way ---- */

/* 0: none will do (said). */
static int choose(const struct options *o, const struct sending *s)
{
	const char *lacks = pktgen__lacks(s);

	if (o->way == PKTGEN && lacks)
		say(SAY_ERROR, "send by pktgen: %s", lacks);
	if (o->way == LIVE && o->replay)
		say(SAY_ERROR, "replay %s: a packet socket does that", o->replay);
	if ((o->way == PKTGEN && lacks) || (o->way == LIVE && o->replay))
		return 0;
	if (o->way != AUTO)
		return o->way;
	if (o->replay || (o->size > GENERATOR_FRAME_MOST && !o->imix))
		return PACKETS;
	return lacks ? LIVE : PKTGEN;
}

static int run(const struct options *o)
{
	struct sending s = { .opts = { .ifname = o->ifname,
				       .flows = o->flows,
				       .size = o->size,
				       .imix = o->imix,
				       .ip6 = o->ip6,
				       .udp = o->udp,
				       .alone = o->alone,
				       .zipf = o->zipf / 100.0,
				       .rate = o->rate },
			     .frames = o->frames,
			     .seconds = o->seconds,
			     .cpu = o->cpu,
			     .threads = o->threads,
			     .replay = o->replay };
	struct generated sent;
	struct spent start;
	int way = choose(o, &s), err = -EINVAL;

	spent__now(&start);
	if (way == PKTGEN) {
		s.cpu = o->cpu == CPU_ANY ? 0 : o->cpu;
		err = pktgen__send(&s, &sent);
	} else if (way == PACKETS) {
		err = o->cpu == CPU_ANY ? 0 : generator__pin(o->cpu);
		s.threads = 1;
		err = err ? err : packets__send(&s, &sent);
	} else if (way == LIVE) {
		err = send_live(&s, &sent);
	}
	if (way != LIVE)
		spent__since(&start, &sent.spent);
	return err ? err : print(o, &s, way, &sent);
}

/* To end a call of the kernel, a signal only has to come. */
static void on_signal(int number)
{
	(void)number;
}

static void watch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

int main(int argc, char **argv)
{
	struct options o = { .flows = 1, .size = 60, .cpu = CPU_ANY, .threads = 1 };
	const struct opt opts[] = {
		{ 'i', "interface", "IF", "the veth end to send out of", OPT_TEXT, &o.ifname, 0, 0,
		  NULL },
		{ 0, "by", "WAY", "pktgen, live, packets, or auto", OPT_CHOICE, &o.way, 0, 0,
		  ways },
		{ 0, "flows", "N", "different flows, each as often as the others (1); 4Gi: all new",
		  OPT_NUMBER, &o.flows, 1, 1ull << 32, NULL },
		{ 0, "packets", "N", "how many to send", OPT_NUMBER, &o.frames, 1, 1ull << 40,
		  NULL },
		{ 0, "seconds", "S", "how long to send", OPT_NUMBER, &o.seconds, 1, 1000000, NULL },
		{ 0, "size", "B", "bytes of a frame, without FCS (60)", OPT_NUMBER, &o.size, 14,
		  65536, NULL },
		{ 0, "imix", NULL, "60, 590 and 1514 bytes, seven, four and one of twelve",
		  OPT_FLAG, &o.imix, 0, 0, NULL },
		{ 0, "zipf", "S",
		  "flows by Zipf's law with the exponent S/100 (100 is the classic), not uniform",
		  OPT_NUMBER, &o.zipf, 1, 1000, NULL },
		{ 0, "rate", "N", "frames a second at most", OPT_NUMBER, &o.rate, 1, 1ull << 40,
		  NULL },
		{ 0, "ip6", NULL, "IPv6 instead of IPv4", OPT_FLAG, &o.ip6, 0, 0, NULL },
		{ 0, "udp", NULL, "UDP instead of TCP", OPT_FLAG, &o.udp, 0, 0, NULL },
		{ 0, "replay", "FILE", "the packets of a capture instead, byte for byte", OPT_TEXT,
		  &o.replay, 0, 0, NULL },
		{ 0, "cpu", "N", "run on this CPU (any)", OPT_NUMBER, &o.cpu, 0, 1023, NULL },
		{ 0, "threads", "N", "on so many CPUs, that one and the next ones (1)", OPT_NUMBER,
		  &o.threads, 1, THREADS_MOST, NULL },
		{ 0, "alone", NULL, "send nothing: how fast the generator itself is", OPT_FLAG,
		  &o.alone, 0, 0, NULL },
		{ 0, "json", "FILE", "write the figures as JSON to FILE, or to stdout with -",
		  OPT_TEXT, &o.json, 0, 0, NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts);

	if (first < 0)
		return first == OPT_HELPED ? 0 : 2;
	if (first < argc || !o.ifname || (!o.frames && !o.seconds)) {
		say(SAY_ERROR, "it needs -i IF, and --packets N or --seconds S; see --help");
		return 2;
	}
	watch_signals();
	return run(&o) ? 1 : 0;
}
