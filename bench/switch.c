// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Attaches pinned programs to an interface of this network namespace each time a line comes in on stdin, and detaches them with
 * the next: switch IFNAME HOOK:PATH... with hooks xdp, ingress, egress and trace (a BTF tracepoint, which the program knows).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "xdp/tc.h"

#define HOOKS 32

struct hook {
	const char *name, *path;
	int program, link;
	struct tc_place tc;
};

static const struct hook none = { .program = -1, .link = -1, .tc = TC_PLACE_NONE };

static int attach(struct hook *h, const char *ifname)
{
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = 1u << 2 /* XDP_FLAGS_DRV_MODE */);
	unsigned ifindex = if_nametoindex(ifname);

	if (!strcmp(h->name, "ingress") || !strcmp(h->name, "egress"))
		return tc__attach(&h->tc, h->name[0] == 'i' ? TC_INGRESS : TC_EGRESS, h->program,
				  ifindex, ifname);
	h->link = !strcmp(h->name, "xdp")
			  ? bpf_link_create(h->program, (int)ifindex, BPF_XDP, &native)
			  : bpf_raw_tracepoint_open(NULL, h->program);
	return h->link < 0 ? -errno : 0;
}

static void detach(struct hook *h)
{
	tc__detach(&h->tc);
	if (h->link >= 0)
		close(h->link);
	h->link = -1;
}

static int open_hook(struct hook *h, char *word)
{
	char *path = strchr(word, ':');

	*h = none;
	if (!path)
		return -EINVAL;
	*path = '\0';
	h->name = word;
	h->path = path + 1;
	h->program = bpf_obj_get(h->path);
	return h->program < 0 ? -errno : 0;
}

static int turn(struct hook *hook, int n, const char *ifname, bool on)
{
	int i, err = 0;

	for (i = 0; i < n && !err; i++) {
		if (on)
			err = attach(&hook[i], ifname);
		else
			detach(&hook[i]);
		if (err)
			fprintf(stderr, "switch: attach %s: %s\n", hook[i].path, strerror(-err));
	}
	return err;
}

int main(int argc, char **argv)
{
	struct hook hook[HOOKS];
	int n = argc - 2, i, err = 0;
	bool on = false;
	char line[16];

	if (n < 1 || n > HOOKS)
		return 2;
	for (i = 0; i < n && !err; i++) {
		err = open_hook(&hook[i], argv[i + 2]);
		if (err)
			fprintf(stderr, "switch: open %s: %s\n",
				hook[i].path ? hook[i].path : argv[i + 2], strerror(-err));
	}
	while (!err && fgets(line, sizeof(line), stdin)) {
		on = !on;
		err = turn(hook, n, argv[1], on);
		puts(err ? "failed" : on ? "on" : "off");
		fflush(stdout);
	}
	return err ? 1 : 0;
}
