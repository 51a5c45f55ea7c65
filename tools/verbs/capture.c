// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho capture: packets that match, to a pcapng file. */
#include "verbs.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/capture/busy_poll.h"
#include "tools/capture/capture.h"
#include "tools/opt.h"
#include "tools/own_address.h"
#include "tools/watch.h"
#include "xdp/match.h"
#include "xdp/say.h"

#define DEFAULT_MATCH "tcp port 80"

/* As enum sample_mode, from 1. */
static const char *const samples[] = { "tap", "inline", "copy", NULL };
static const char *const binds[] = { "auto", "zerocopy", "copy", NULL };

static const struct usage usage = {
	.verb = "capture",
	.synopsis = "-i IF [-i IF]... -w FILE [OPTION]... [EXPR]",
	.about =
		"Writes the packets that match EXPR (or --match; without either: " DEFAULT_MATCH
		") to a pcapng file.\n"
		"--sample copy: the kernel copies a slice of each packet and passes it on; traffic is untouched. "
		"--sample inline: each packet goes through AF_XDP and back into the stack; when we cannot keep up, "
		"or are stopped, packets pass uncaptured. "
		"--sample tap: packets end in the file, straight from the driver, and no one else gets them: right "
		"for a SPAN port, a mirror or a sink; refused on an interface with an address of this host. "
		"Without --sample: copy where this host has an address, else tap.\n"
		"Each packet is named with the process that owns it: in a comment, and in the format's own fields, "
		"which `wirewho read` gives back. EXPR may be any pcap-filter(7): what the kernel's program cannot "
		"select, libpcap filters.\n"
		"The summary on stderr says where every packet went. Ends on SIGINT or SIGTERM.",
	.examples =
		"  wirewho capture -i span0 -w web.pcapng\n"
		"  wirewho capture -i span0 -w - 'udp port 53' | tcpdump -nr -\n"
		"  wirewho capture -i eth0 -w web.pcapng --sample inline --flow-rate 10 'tcp port 80'\n"
		"  wirewho capture -i eth0 -w nginx.pcapng --comm nginx -C 100 -W 10 'tcp'\n"
		"  wirewho capture -i span0 -w x.pcapng --bind zerocopy -s 128 -c 1M 'tcp'\n",
};

struct capture_verb {
	struct watch_opts watch;
	const char *path;
	int sample, bind;
	uint64_t queues, snaplen, count;
	uint64_t rate, flow_rate, ring;
	const char *stats, *busy_poll;
	bool force;
	struct capture_filter_opts filter;
	bool no_owners, no_comments, verdict;
	const char *file_size;
	uint64_t seconds, files;
	struct rotate rotate;
};

static int join_words(int argc, char **argv, char **joined)
{
	size_t size = 1;
	char *text;
	int i;

	for (i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	text = calloc(1, size);
	if (!text)
		return fail(-ENOMEM, NULL, "read the expression");
	for (i = 0; i < argc; i++)
		sprintf(text + strlen(text), "%s%s", i ? " " : "", argv[i]);
	*joined = text;
	return 0;
}

static int add_match(struct opt_list *list, const char *text)
{
	const char **more = realloc(list->item, (list->n + 1) * sizeof(*more));

	if (!more)
		return fail(-ENOMEM, NULL, "read the expression");
	list->item = more;
	list->item[list->n++] = text;
	return 0;
}

static bool is_match(const char *text)
{
	struct match m = {};
	char why[160];
	unsigned at;

	return !match__compile(&m, text, &at, why, sizeof(why));
}

/*
 * EXPR is the words that are left. Where it is simple enough for the program in the kernel, and no --match was given, it
 * selects there; else libpcap filters what was selected. The caller frees *joined.
 */
static int take_expression(struct capture_verb *v, int argc, char **argv, char **joined)
{
	struct opt_list *list = &v->watch.matches;

	if (!argc)
		return list->n ? 0 : add_match(list, DEFAULT_MATCH);
	if (join_words(argc, argv, joined))
		return -ENOMEM;
	if (!list->n && is_match(*joined))
		return add_match(list, *joined);
	v->filter.expression = *joined;
	return 0;
}

/* All selections as one text: (a) or (b). */
static void name_selection(const struct capture_verb *v, char *text, size_t size)
{
	const struct opt_list *list = &v->watch.matches;
	size_t at = 0, i;

	text[0] = 0;
	if (v->filter.expression)
		at += snprintf(text, size, list->n ? "(%s) and " : "%s", v->filter.expression);
	for (i = 0; i < list->n && at < size; i++)
		at += snprintf(text + at, size - at, list->n > 1 ? "%s(%s)" : "%s%s",
			       i ? " or " : "", list->item[i]);
}

static int check(const struct capture_verb *v)
{
	if (!v->watch.interfaces.n)
		say(SAY_ERROR, "capture needs an interface: -i IF; `ip link` lists them");
	else if (!v->path)
		say(SAY_ERROR, "capture needs a file: -w FILE, or -w - for standard output");
	else if (v->watch.mode == RECEIVE_TC)
		say(SAY_ERROR,
		    "capture takes packets by an XDP program, and --mode tc attaches none: --mode auto, native or generic");
	else if (v->no_owners && capture_filter__wants_owner(&v->filter))
		say(SAY_ERROR,
		    "--pid, --comm, --user and --cgroup need owners: leave --no-owners out");
	else if (v->ring & (v->ring - 1) || v->ring % 4096)
		say(SAY_ERROR, "--ring takes a power of two from 4Ki to 1Gi, as in 4Mi");
	else
		return 0;
	return 2;
}

/* tcpdump's unit is a million bytes; a suffix says another. 0, or 2 (said). */
static int take_file_size(struct capture_verb *v)
{
	unsigned long long size;
	size_t n = v->file_size ? strlen(v->file_size) : 0;

	if (!n)
		return 0;
	if (opt__number(v->file_size, "-C", 1, UINT64_MAX / 1000000, &size))
		return 2;
	v->rotate.bytes = isdigit((unsigned char)v->file_size[n - 1]) ? size * 1000000 : size;
	return 0;
}

static int check_rotation(struct capture_verb *v)
{
	int code = take_file_size(v);

	v->rotate.seconds = v->seconds;
	v->rotate.files = v->files;
	if (code || (!v->rotate.bytes && !v->seconds && !v->files))
		return code;
	v->rotate.path = v->path;
	if (!strcmp(v->path, "-"))
		say(SAY_ERROR, "-C, -G and -W make several files, and -w - is none: name one");
	else if (!v->rotate.bytes && !v->seconds)
		say(SAY_ERROR, "-W says how many files: -C BYTES or -G SECONDS says when one ends");
	else if (v->rotate.bytes && v->seconds && v->files)
		say(SAY_ERROR, "-W counts the files of -C, or those of -G: not of both together");
	else
		return 0;
	return 2;
}

/* Tapped frames reach nobody else: not on an interface that this host lives on. */
static int check_address(const char *ifname, bool force)
{
	char address[128];

	if (!own_address__find(ifname, address, sizeof(address)))
		return 0;
	if (force) {
		say(SAY_NOTE,
		    "%s carries this host's address %s, and the packets that match will not reach it "
		    "(--force)",
		    ifname, address);
		return 0;
	}
	say(SAY_ERROR,
	    "tap %s: it carries this host's own address %s, and a tapped packet ends in the file: this "
	    "host would never get it; tap a mirror port or another interface without address, or add "
	    "--force",
	    ifname, address);
	return 1;
}

/* What was not asked for: nothing that takes packets away from this host. --force says that it may. */
static enum sample_mode choose_sample(const struct capture_verb *v, const struct pipeline_opts *o)
{
	char address[128];
	unsigned i;

	if (v->sample >= 0)
		return SAMPLE_MODE_TAP + v->sample;
	for (i = 0; i < o->links && !v->force; i++) {
		if (!own_address__find(o->ifname[i], address, sizeof(address)))
			continue;
		say(SAY_NOTE,
		    "%s carries this host's address %s: --sample copy, which leaves its traffic alone",
		    o->ifname[i], address);
		return SAMPLE_MODE_COPY;
	}
	if (!v->force && if_nametoindex(o->ifname[0]))
		say(SAY_NOTE,
		    "this host receives nothing through %s: --sample tap, which takes the packets off the wire",
		    o->links > 1 ? "these interfaces" : o->ifname[0]);
	return SAMPLE_MODE_TAP;
}

/* Options that would mean nothing. */
static int check_sample(const struct capture_verb *v, enum sample_mode sample)
{
	bool copy = sample == SAMPLE_MODE_COPY;

	if (!(copy ? v->bind || v->queues || v->busy_poll : v->ring))
		return 0;
	say(SAY_ERROR, "%s with --sample %s: %s",
	    copy ? "--bind, --queues or --busy-poll" : "--ring", samples[sample - 1],
	    copy ? "there is no AF_XDP socket" : "there is no ring buffer of copies");
	return 2;
}

/* 0: not asked for. Returns 0, or 2 (said). */
static int take_busy_poll(const struct capture_verb *v, unsigned *us)
{
	unsigned long long number = BUSY_POLL_USUAL;

	if (v->busy_poll && *v->busy_poll &&
	    opt__number(v->busy_poll, "--busy-poll", 1, 1000, &number))
		return 2;
	*us = v->busy_poll ? number : 0;
	return 0;
}

static int run(struct capture_verb *v)
{
	struct pipeline_opts watched = {};
	char expression[1024];
	struct capture_opts o;
	int code = watch__prepare(&v->watch, &watched);
	enum sample_mode sample;
	unsigned i, busy_poll = 0;

	if (!code)
		code = take_busy_poll(v, &busy_poll);
	if (code)
		return code;
	sample = choose_sample(v, &watched);
	code = check_sample(v, sample);
	for (i = 0; !code && sample == SAMPLE_MODE_TAP && i < watched.links; i++)
		code = check_address(watched.ifname[i], v->force);
	if (code)
		return code;
	if (v->filter.expression && !v->watch.matches.n)
		say(SAY_NOTE,
		    "the program in the kernel cannot select '%s': it takes every packet, and libpcap "
		    "filters; --match narrows what is taken",
		    v->filter.expression);
	name_selection(v, expression, sizeof(expression));
	if (sample != SAMPLE_MODE_COPY && !v->watch.priority)
		watched.chain.priority = CHAIN_LAST_PRIORITY;
	o = (struct capture_opts){ .ifname = watched.ifname,
				   .links = watched.links,
				   .path = v->path,
				   .match = watched.match,
				   .expression = expression,
				   .mode = watched.mode,
				   .chain = watched.chain,
				   .sample = sample,
				   .rate = v->rate,
				   .flow_rate = v->flow_rate,
				   .ring = v->ring,
				   .force = v->force,
				   .stats = v->stats,
				   .owners = !v->no_owners,
				   .comments = !v->no_comments,
				   .verdict = v->verdict,
				   .filter = &v->filter,
				   .rotate = v->rotate,
				   .bind = v->bind,
				   .busy_poll = busy_poll,
				   .queues = v->queues,
				   .snaplen = v->snaplen ? v->snaplen : FRAME_MOST,
				   .count = v->count,
				   .flows = watched.flows };
	return capture__run(&o);
}

/* What was parsed is checked, completed and run; the exit code. */
static int carry_out(struct capture_verb *v, int words, char **word)
{
	char *expression = NULL;
	int code = check(v);

	if (!code)
		code = check_rotation(v);
	if (!code)
		code = take_expression(v, words, word, &expression) ? 1 : 0;
	if (!code)
		code = capture_filter__check(&v->filter) ? 2 : run(v);
	free(expression);
	return code;
}

int verb_capture(int argc, char **argv)
{
	struct capture_verb v = { .sample = -1 };
	const struct opt opts[] = {
		WATCH_OPTS_SAYING(
			&v.watch,
			"look only at what matches, as in 'tcp port 80'; several are or-ed",
			"how the XDP program is attached: native where the driver has it (auto), native or generic"),
		{ 'w', "write", "FILE", "write the packets to FILE, or to standard output with -",
		  OPT_TEXT, &v.path, 0, 0, NULL },
		{ 0, "sample", "HOW",
		  "tap, inline or copy; default: copy where this host has an address, else tap",
		  OPT_CHOICE, &v.sample, 0, 0, samples },
		{ 0, "rate", "N", "one in N of the packets that match", OPT_NUMBER, &v.rate, 1,
		  UINT32_MAX, NULL },
		{ 0, "flow-rate", "N", "all packets of one in N of the flows that match",
		  OPT_NUMBER, &v.flow_rate, 1, UINT32_MAX, NULL },
		{ 0, "ring", "BYTES",
		  "copy: ring buffer of each CPU, a power of two; default: 2048 packets' worth",
		  OPT_NUMBER, &v.ring, 4096, 1u << 30, NULL },
		{ 0, "flows", "N", "tap: flows that each receiving thread counts, at most (256Ki)",
		  OPT_NUMBER, &v.watch.flows, 1, 1u << 24, NULL },
		{ 0, "stats", "FILE", "write the summary at the end as JSON, too", OPT_TEXT,
		  &v.stats, 0, 0, NULL },
		{ 0, "bind", "HOW", "AF_XDP: auto, zerocopy or copy", OPT_CHOICE, &v.bind, 0, 0,
		  binds },
		{ 0, "busy-poll", "USEC",
		  "AF_XDP: poll the driver instead of waiting for interrupts, USEC at a time (20); a CPU for "
		  "each queue, and two settings of the interface while it runs",
		  OPT_MAYBE, &v.busy_poll, 0, 0, NULL },
		{ 0, "queues", "N",
		  "serve at most N receive queues of each interface; default: all", OPT_NUMBER,
		  &v.queues, 1, 4096, NULL },
		{ 's', "snaplen", "BYTES",
		  "keep at most so many bytes of a packet; 0: all, but for copies 2048", OPT_NUMBER,
		  &v.snaplen, 0, FRAME_MOST, NULL },
		{ 'c', "count", "N", "end after N packets", OPT_NUMBER, &v.count, 1, UINT64_MAX,
		  NULL },
		{ 'C', "file-size", "SIZE",
		  "begin a new file once one is larger: millions of bytes, or with a suffix as in 64Ki",
		  OPT_TEXT, &v.file_size, 0, 0, NULL },
		{ 'G', "rotate-seconds", "SECONDS",
		  "begin a new file every SECONDS; FILE is a strftime(3) format", OPT_NUMBER,
		  &v.seconds, 1, 1u << 30, NULL },
		{ 'W', "file-count", "N", "with -C a ring of N files, with -G end after N files",
		  OPT_NUMBER, &v.files, 1, 1000000, NULL },
		{ 0, "pid", "PID", "only packets of this process; may be given several times",
		  OPT_LIST, &v.filter.pids, 0, 0, NULL },
		{ 0, "comm", "NAME", "only packets of processes of this name, as ps -o comm says",
		  OPT_LIST, &v.filter.comms, 0, 0, NULL },
		{ 0, "user", "USER", "only packets of this user's processes, by name or number",
		  OPT_LIST, &v.filter.users, 0, 0, NULL },
		{ 0, "cgroup", "PATH|ID",
		  "only packets of processes in or below this cgroup, or in this container",
		  OPT_LIST, &v.filter.groups, 0, 0, NULL },
		{ 0, "no-owners", NULL, "do not name the process of each packet", OPT_FLAG,
		  &v.no_owners, 0, 0, NULL },
		{ 0, "no-comments", NULL,
		  "name it in fields of the format only, not in a comment too", OPT_FLAG,
		  &v.no_comments, 0, 0, NULL },
		{ 0, "verdict", NULL,
		  "add the XDP program's verdict; Wireshark 4.0 damages such a file if it saves it",
		  OPT_FLAG, &v.verdict, 0, 0, NULL },
		{ 0, "force", NULL,
		  "tap even where this host has an address, or go inline before another XDP program",
		  OPT_FLAG, &v.force, 0, 0, NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), code = 2;

	code = first == OPT_HELPED ? 0
	       : first < 0         ? code
				   : carry_out(&v, argc - first, argv + first);
	watch__free(&v.watch);
	opt_list__free(&v.filter.pids);
	opt_list__free(&v.filter.comms);
	opt_list__free(&v.filter.users);
	opt_list__free(&v.filter.groups);
	return code;
}
