// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* bench/generator: the generator as a program, for shells. Ends early on SIGINT or SIGTERM, and says what it sent all the same. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "generator.h"
#include "tools/opt.h"
#include "xdp/say.h"

#define CPU_ANY UINT64_MAX

struct options {
	const char *ifname, *json;
	uint64_t flows, frames, seconds, size, cpu, rate, zipf;
	bool ip6, udp, imix;
};

static const struct usage usage = {
	.program = ".build/bench/generator",
	.synopsis = "-i IF [--flows N] [--packets N | --seconds S] [--size B] [--json FILE]",
	.about =
		"Sends frames out of a veth end as fast as one CPU can, and prints exactly how many: frames made, sent and\n"
		"refused (the ring at the other end was full). The other end needs XDP or GRO enabled.",
};

static int print(const struct options *o, const struct generated *sent)
{
	json_t *json;
	int err;

	if (!o->json) {
		printf("sent %llu packets, %llu bytes in %.3f s, %.0f a second; %llu refused\n",
		       (unsigned long long)sent->sent, (unsigned long long)sent->bytes,
		       sent->seconds, sent->sent / sent->seconds,
		       (unsigned long long)sent->refused);
		return 0;
	}
	json = json_pack("{s:I,s:I,s:I,s:I,s:f}", "made", (json_int_t)sent->made, "sent",
			 (json_int_t)sent->sent, "bytes", (json_int_t)sent->bytes, "refused",
			 (json_int_t)sent->refused, "seconds", sent->seconds);
	if (strcmp(o->json, "-")) {
		err = json_dump_file(json, o->json, JSON_COMPACT);
	} else {
		err = json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
	}
	json_decref(json);
	return err ? fail(-errno, NULL, "write %s", o->json) : 0;
}

static int run(const struct options *o)
{
	struct generator_opts opts = { .ifname = o->ifname,
				       .flows = o->flows,
				       .size = o->size,
				       .imix = o->imix,
				       .ip6 = o->ip6,
				       .udp = o->udp,
				       .zipf = o->zipf / 100.0,
				       .rate = o->rate };
	struct generated sent;
	struct generator *g;
	int err = o->cpu == CPU_ANY ? 0 : generator__pin(o->cpu);

	if (!err)
		err = generator__open(&g, &opts);
	if (err)
		return err;
	err = generator__send(g, o->frames, o->seconds, &sent);
	if (!err)
		err = print(o, &sent);
	generator__close(g);
	return err;
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
}

int main(int argc, char **argv)
{
	struct options o = { .flows = 1, .size = 60, .cpu = CPU_ANY };
	const struct opt opts[] = {
		{ 'i', "interface", "IF", "the veth end to send out of", OPT_TEXT, &o.ifname, 0, 0,
		  NULL },
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
		{ 0, "cpu", "N", "run on this CPU (any)", OPT_NUMBER, &o.cpu, 0, 1023, NULL },
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
