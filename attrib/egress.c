// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "egress.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include "attrib/egress.skel.h"
#include "owners.h"
#include "xdp/constants.h"
#include "xdp/pin.h"
#include "xdp/say.h"
#include "xdp/tc.h"

struct egress_link {
	struct egress_bpf *skel;
	struct tc_place place;
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
		e->link[i].place = (struct tc_place)TC_PLACE_NONE;
	err = open_harvest(e);
	if (err) {
		free(e);
		return err;
	}
	*out = e;
	return 0;
}

void egress__detach(struct egress *e)
{
	int i;

	for (i = 0; i < LINKS_MAX; i++)
		tc__detach(&e->link[i].place);
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

static int load(struct egress *e, struct egress_link *l, uint16_t number, bool raw)
{
	const struct constants c = { .link = number,
				     .raw = raw,
				     .match_counts = e->opts.match_counts,
				     .match = e->opts.match };
	int err = harvest__lend(e->harvest, l->skel->obj);

	constants__set(l->skel->rodata, &c);
	l->skel->rodata->owners_on = e->opts.owners != NULL;
	if (!err && e->opts.owners)
		err = owners__lend(e->opts.owners, l->skel->obj);
	return err ? err : bpf_object__load(l->skel->obj);
}

int egress__add(struct egress *e, const char *ifname, uint16_t link, bool raw)
{
	struct egress_link *l = &e->link[link];
	char name[sizeof("egress-") + IF_NAMESIZE];
	int err;

	tc__detach(&l->place);
	egress_bpf__destroy(l->skel);
	l->skel = egress_bpf__open();
	if (!l->skel)
		return fail(-errno, NULL, "open the tc egress program");
	err = load(e, l, link, raw);
	if (err)
		return fail(err, "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
			    "load the tc egress program for %s", ifname);
	snprintf(name, sizeof(name), "egress-%s", ifname);
	err = pins__add(name, l->skel->obj);
	return err ? err
		   : tc__attach(&l->place, TC_EGRESS,
				bpf_program__fd(l->skel->progs.wirewho_egress),
				if_nametoindex(ifname), ifname);
}

struct harvest *egress__harvest(struct egress *e)
{
	return e->harvest;
}
