// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "egress.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "attrib/egress.skel.h"
#include "owners.h"
#include "xdp/pin.h"
#include "xdp/probe.h"
#include "xdp/say.h"

#define ATTACH_TCX_EGRESS 47 /* BPF_TCX_EGRESS of newer linux/bpf.h (kernel commit e420bed02507) */

struct egress_link {
	struct egress_bpf *skel;
	unsigned ifindex;
	int tcx; /* BPF link, or -1 */
	bool clsact;
	unsigned handle, priority; /* of the clsact filter */
};

struct egress {
	struct egress_opts opts;
	struct harvest *harvest;
	struct egress_link link[LINKS_MAX];
};

/* As the meter's: opened only to say what the maps' keys and values are. */
static int open_harvest(struct egress *e)
{
	struct egress_bpf *types = egress_bpf__open();
	struct harvest_size size = e->opts.size;
	int err;

	size.types = types ? types->obj : NULL;
	err = harvest__open(&e->harvest, &size, "transmit");
	egress_bpf__destroy(types);
	return err;
}

int egress__open(struct egress **out, const struct egress_opts *opts)
{
	struct egress *e = calloc(1, sizeof(*e));
	int i, err;

	if (!e)
		return -ENOMEM;
	e->opts = *opts;
	for (i = 0; i < LINKS_MAX; i++)
		e->link[i].tcx = -1;
	err = open_harvest(e);
	if (err) {
		free(e);
		return err;
	}
	*out = e;
	return 0;
}

static void detach_clsact(struct egress_link *l)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = l->ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = l->handle, .priority = l->priority);

	bpf_tc_detach(&hook, &filter);
	l->clsact = false;
}

static void detach(struct egress_link *l)
{
	if (l->tcx >= 0)
		close(l->tcx);
	l->tcx = -1;
	if (l->clsact)
		detach_clsact(l);
}

void egress__detach(struct egress *e)
{
	int i;

	for (i = 0; i < LINKS_MAX; i++)
		detach(&e->link[i]);
}

void egress__close(struct egress *e)
{
	int i;

	if (!e)
		return;
	egress__detach(e);
	for (i = 0; i < LINKS_MAX; i++)
		egress_bpf__destroy(e->link[i].skel);
	harvest__close(e->harvest);
	free(e);
}

static int attach_clsact(struct egress_link *l)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = l->ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = bpf_program__fd(l->skel->progs.wirewho_egress));
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	err = bpf_tc_attach(&hook, &filter);
	if (err)
		return err;
	l->clsact = true;
	l->handle = filter.handle;
	l->priority = filter.priority;
	return 0;
}

static int attach(struct egress_link *l, const char *ifname)
{
	int err;

	l->tcx = bpf_link_create(bpf_program__fd(l->skel->progs.wirewho_egress), l->ifindex,
				 ATTACH_TCX_EGRESS, NULL);
	if (l->tcx >= 0)
		return 0;
	say(SAY_NOTE,
	    "%s: no tcx here (%s): counting what is sent by a clsact filter, which outlives a killed run; `wirewho cleanup` removes it",
	    ifname, strerror(errno));
	err = attach_clsact(l);
	return err ? fail(err, "see `wirewho doctor`", "attach tc egress to %s", ifname) : 0;
}

static int load(struct egress *e, struct egress_link *l, uint16_t number, bool raw)
{
	int err = harvest__lend(e->harvest, l->skel->obj);

	l->skel->rodata->link_number = number;
	l->skel->rodata->link_raw = raw;
	l->skel->rodata->match_counts = e->opts.match_counts;
	l->skel->rodata->look_inside = !probe__kernel_context();
	l->skel->rodata->owners_on = e->opts.owners != NULL;
	if (e->opts.match)
		l->skel->rodata->match = *e->opts.match;
	if (!err && e->opts.owners)
		err = owners__lend(e->opts.owners, l->skel->obj);
	return err ? err : bpf_object__load(l->skel->obj);
}

int egress__add(struct egress *e, const char *ifname, uint16_t link, bool raw)
{
	struct egress_link *l = &e->link[link];
	char name[sizeof("egress-") + IF_NAMESIZE];
	int err;

	detach(l);
	egress_bpf__destroy(l->skel);
	l->ifindex = if_nametoindex(ifname);
	l->skel = egress_bpf__open();
	if (!l->skel)
		return fail(-errno, NULL, "open the tc egress program");
	err = load(e, l, link, raw);
	if (err)
		return fail(err, "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
			    "load the tc egress program for %s", ifname);
	snprintf(name, sizeof(name), "egress-%s", ifname);
	err = pins__add(name, l->skel->obj);
	return err ? err : attach(l, ifname);
}

struct harvest *egress__harvest(struct egress *e)
{
	return e->harvest;
}
