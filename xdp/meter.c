// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "meter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "link.h"
#include "probe.h"
#include "say.h"
#include "xdp/meter.skel.h"

#define PROGRAM "wirewho_meter"

struct metered {
	struct meter_bpf *skel;
	struct attachment attachment;
	struct link_facts facts;
	int sockets; /* XSKMAP */
};

struct meter {
	struct meter_opts opts;
	struct harvest *harvest;
	struct metered link[LINKS_MAX];
	unsigned links;
};

int meter__open(struct meter **out, const struct meter_opts *opts)
{
	struct meter *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->opts = *opts;
	err = harvest__open(&m->harvest, &opts->size, "receive");
	if (err) {
		free(m);
		return err;
	}
	*out = m;
	return 0;
}

static void close_link(struct metered *l)
{
	attach__off(&l->attachment);
	meter_bpf__destroy(l->skel);
	l->skel = NULL;
	if (l->sockets >= 0)
		close(l->sockets);
	l->sockets = -1;
}

void meter__close(struct meter *m)
{
	unsigned i;

	if (!m)
		return;
	for (i = 0; i < m->links; i++)
		close_link(&m->link[i]);
	harvest__close(m->harvest);
	free(m);
}

static void set_constants(const struct meter *m, struct metered *l, unsigned number)
{
	l->skel->rodata->link_number = number;
	l->skel->rodata->link_raw = l->facts.raw;
	l->skel->rodata->match_counts = m->opts.match_counts;
	l->skel->rodata->sample_mode = m->opts.sample;
	l->skel->rodata->look_inside = !probe__kernel_context();
	if (m->opts.match)
		l->skel->rodata->match = *m->opts.match;
}

static int make_sockets(struct metered *l)
{
	l->sockets = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", sizeof(uint32_t),
				    sizeof(uint32_t), l->facts.queues, NULL);
	if (l->sockets < 0)
		return fail(-errno, "run as root, or with CAP_BPF and CAP_NET_ADMIN",
			    "make the AF_XDP socket map");
	return bpf_map__reuse_fd(l->skel->maps.sockets, l->sockets);
}

static int open_link(struct meter *m, uint16_t number, const char *ifname)
{
	struct metered *l = &m->link[number];
	int err;

	*l = (struct metered){ .attachment = ATTACHMENT_NONE, .sockets = -1 };
	err = link__usable(ifname, &l->facts);
	if (err)
		return err;
	l->skel = meter_bpf__open();
	if (!l->skel)
		return fail(-errno, NULL, "open the XDP program");
	set_constants(m, l, number);
	err = make_sockets(l);
	if (!err)
		err = harvest__lend(m->harvest, l->skel->obj);
	if (!err)
		err = attach__load(&l->attachment, l->skel->obj, PROGRAM, ifname);
	return err;
}

int meter__add(struct meter *m, const char *ifname)
{
	int err;

	if (m->links == LINKS_MAX) {
		say(SAY_ERROR,
		    "watch %s: one run watches at most %d interfaces; start another for the rest",
		    ifname, LINKS_MAX);
		return -E2BIG;
	}
	err = open_link(m, m->links, ifname);
	if (err) {
		close_link(&m->link[m->links]);
		return err;
	}
	return m->links++;
}

int meter__renew(struct meter *m, uint16_t link, const char *ifname)
{
	int err;

	close_link(&m->link[link]);
	err = open_link(m, link, ifname);
	if (!err)
		err = meter__attach(m, link);
	return err;
}

int meter__attach(struct meter *m, uint16_t link)
{
	return attach__on(&m->link[link].attachment, m->opts.mode);
}

void meter__detach(struct meter *m)
{
	unsigned i;

	for (i = 0; i < m->links; i++)
		attach__off(&m->link[i].attachment);
}

int meter__sockets_fd(const struct meter *m, uint16_t link)
{
	return m->link[link].sockets;
}

unsigned meter__queues(const struct meter *m, uint16_t link)
{
	return m->link[link].facts.queues;
}

struct harvest *meter__harvest(struct meter *m)
{
	return m->harvest;
}

const struct attachment *meter__attachment(const struct meter *m, uint16_t link)
{
	return &m->link[link].attachment;
}
