// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho capture: packets that match, to a pcapng file. */
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "capture.h"
#include "opt.h"
#include "own_address.h"
#include "watch.h"
#include "xdp/say.h"

#define DEFAULT_MATCH "tcp port 80"

static const char *const samples[] = { "tap", "inline", "copy", NULL };
static const char *const binds[] = { "auto", "zerocopy", "copy", NULL };

static const struct usage usage = {
	.verb = "capture",
	.synopsis = "-i IF [-i IF]... -w FILE [OPTION]... [EXPR]",
	.about =
		"Writes the packets that match EXPR (or --match; without either: " DEFAULT_MATCH
		") to a pcapng "
		"file, straight from the driver through AF_XDP.\n"
		"--sample tap takes them off the wire: they end in the file, and no one else gets them. That is "
		"right for a SPAN port, a mirror or a sink; on an interface with an address of this host it is "
		"refused. The summary on stderr says where every packet went. Ends on SIGINT or SIGTERM.",
	.examples = "  wirewho capture -i span0 -w web.pcapng\n"
		    "  wirewho capture -i span0 -w - 'udp port 53' | tcpdump -nr -\n"
		    "  wirewho capture -i span0 -w x.pcapng --bind zerocopy -s 128 -c 1M 'tcp'\n",
};

struct capture_verb {
	struct watch_opts watch;
	const char *path;
	int sample, bind;
	uint64_t queues, snaplen, count;
	bool force;
};

/* EXPR is the words that are left, as one more --match. The caller frees *joined. */
static int take_expression(struct capture_verb *v, int argc, char **argv, char **joined)
{
	struct opt_list *list = &v->watch.matches;
	const char **more = realloc(list->item, (list->n + 1) * sizeof(*more));
	size_t size = 1;
	char *text;
	int i;

	for (i = 0; i < argc; i++)
		size += strlen(argv[i]) + 1;
	text = calloc(1, size);
	if (more)
		list->item = more;
	if (!more || !text) {
		free(text);
		return fail(-ENOMEM, NULL, "read the expression");
	}
	for (i = 0; i < argc; i++)
		sprintf(text + strlen(text), "%s%s", i ? " " : "", argv[i]);
	*joined = text;
	if (argc)
		list->item[list->n++] = text;
	else if (!list->n)
		list->item[list->n++] = DEFAULT_MATCH;
	return 0;
}

/* All selections as one text: (a) or (b). */
static void name_selection(const struct opt_list *list, char *text, size_t size)
{
	size_t at = 0, i;

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
	else if (v->sample)
		say(SAY_ERROR, "--sample %s is not available in this version: only --sample tap is",
		    samples[v->sample]);
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

static int run(struct capture_verb *v)
{
	struct pipeline_opts watched = {};
	char expression[1024];
	struct capture_opts o;
	int code = watch__prepare(&v->watch, &watched);
	unsigned i;

	for (i = 0; !code && i < watched.links; i++)
		code = check_address(watched.ifname[i], v->force);
	if (code)
		return code;
	name_selection(&v->watch.matches, expression, sizeof(expression));
	o = (struct capture_opts){ .ifname = watched.ifname,
				   .links = watched.links,
				   .path = v->path,
				   .match = watched.match,
				   .expression = expression,
				   .mode = watched.mode,
				   .bind = v->bind,
				   .queues = v->queues,
				   .snaplen = v->snaplen ? v->snaplen : FRAME_MOST,
				   .count = v->count,
				   .flows = watched.flows,
				   .hash = watched.hash };
	return capture__run(&o);
}

int verb_capture(int argc, char **argv)
{
	struct capture_verb v = {};
	const struct opt opts[] = {
		WATCH_OPTS(&v.watch),
		{ 'w', "write", "FILE", "write the packets to FILE, or to standard output with -",
		  OPT_TEXT, &v.path, 0, 0, NULL },
		{ 0, "sample", "HOW", "tap (the only one so far): take the packets off the wire",
		  OPT_CHOICE, &v.sample, 0, 0, samples },
		{ 0, "bind", "HOW", "AF_XDP: auto, zerocopy or copy", OPT_CHOICE, &v.bind, 0, 0,
		  binds },
		{ 0, "queues", "N",
		  "serve at most N receive queues of each interface; default: all", OPT_NUMBER,
		  &v.queues, 1, 4096, NULL },
		{ 's', "snaplen", "BYTES", "keep at most so many bytes of a packet; 0: all",
		  OPT_NUMBER, &v.snaplen, 0, FRAME_MOST, NULL },
		{ 'c', "count", "N", "end after N packets", OPT_NUMBER, &v.count, 1, UINT64_MAX,
		  NULL },
		{ 0, "force", NULL, "tap even where this host has an address", OPT_FLAG, &v.force,
		  0, 0, NULL },
		{},
	};
	int first = opt__parse(argc, argv, &usage, opts), code = 2;
	char *expression = NULL;

	if (first == OPT_HELPED)
		code = 0;
	else if (first >= 0)
		code = check(&v);
	if (first >= 0 && !code)
		code = take_expression(&v, argc - first, argv + first, &expression) ? 1 : run(&v);
	watch__free(&v.watch);
	free(expression);
	return code;
}
