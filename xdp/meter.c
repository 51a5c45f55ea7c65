// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "meter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "constants.h"
#include "link.h"
#include "pin.h"
#include "sampler.h"
#include "say.h"
#include "xdp/ingress.skel.h"
#include "xdp/meter.skel.h"

#define PROGRAM "wirewho_meter"
#define TC_PROGRAM "wirewho_ingress"
#define SLICE_RING (1u << 20)

struct metered {
	struct bpf_object *obj; /* of one of these: */
	struct meter_bpf *skel; /* counts */
	struct ingress_bpf *tc; /* or counts at tc ingress: RECEIVE_TC */
	struct sampler sampler; /* or samples */
	struct attachment attachment;
	struct link_facts facts;
};

struct meter {
	struct meter_opts opts;
	struct harvest *harvest;
	struct metered link[LINKS_MAX];
	unsigned links;
	int slices; /* copy: the array of ring buffers, or -1 */
	int *slice; /* one a CPU, or NULL */
};

/* A program that is opened only to say what the maps' keys and values are. */
static int open_harvest(struct meter *m)
{
	struct meter_bpf *types = meter_bpf__open();
	struct harvest_size size = m->opts.size;
	int err;

	size.types = types ? types->obj : NULL;
	err = harvest__open(&m->harvest, &size, "receive");
	meter_bpf__destroy(types);
	return err;
}

int meter__open(struct meter **out, const struct meter_opts *opts)
{
	struct meter *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->opts = *opts;
	m->slices = -1;
	err = open_harvest(m);
	if (!err && opts->sampling.mode == SAMPLE_MODE_COPY) {
		err = slices__open(&m->slice, &m->slices,
				   opts->slice_ring ? opts->slice_ring : SLICE_RING);
		if (err)
			fail(err, NULL, "make the ring buffers for copies");
	}
	if (err) {
		meter__close(m);
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
	ingress_bpf__destroy(l->tc);
	l->tc = NULL;
	sampler__close(&l->sampler);
	l->obj = NULL;
}

void meter__close(struct meter *m)
{
	unsigned i;

	if (!m)
		return;
	for (i = 0; i < m->links; i++)
		close_link(&m->link[i]);
	slices__close(m->slice, m->slices);
	harvest__close(m->harvest);
	free(m);
}

static int open_counter(struct metered *l, const struct constants *c)
{
	l->skel = meter_bpf__open();
	if (!l->skel)
		return fail(-errno, NULL, "open the XDP program");
	constants__set(l->skel->rodata, c);
	l->obj = l->skel->obj;
	return 0;
}

static int open_tc(struct metered *l, const struct constants *c)
{
	l->tc = ingress_bpf__open();
	if (!l->tc)
		return fail(-errno, NULL, "open the tc ingress program");
	constants__set(l->tc->rodata, c);
	l->obj = l->tc->obj;
	return 0;
}

static int open_sampler(const struct meter *m, struct metered *l, uint16_t number,
			const char *ifname)
{
	const struct sampler_opts opts = { .ifname = ifname,
					   .link = number,
					   .raw = l->facts.raw,
					   .queues = l->facts.queues,
					   .match = m->opts.match,
					   .sampling = m->opts.sampling,
					   .slices = m->slices };
	int err = sampler__open(&l->sampler, &opts);

	if (!err)
		l->obj = sampler__object(&l->sampler);
	return err;
}

static int pin_link(const struct metered *l, const char *ifname)
{
	char name[sizeof("meter-") + IF_NAMESIZE];

	snprintf(name, sizeof(name), "meter-%s", ifname);
	return pins__add(name, l->obj);
}

static int open_program(const struct meter *m, struct metered *l, uint16_t number,
			const char *ifname)
{
	const struct constants c = { .link = number,
				     .raw = l->facts.raw,
				     .match_counts = m->opts.match_counts,
				     .match = m->opts.match };

	if (m->opts.mode == RECEIVE_TC)
		return open_tc(l, &c);
	if (m->opts.sampling.mode != SAMPLE_MODE_NONE)
		return open_sampler(m, l, number, ifname);
	return open_counter(l, &c);
}

static int load(const struct meter *m, struct metered *l, const char *ifname)
{
	return l->tc ? attach__load_tc(&l->attachment, l->obj, TC_PROGRAM, ifname)
		     : attach__load(&l->attachment, l->obj, PROGRAM, ifname, &m->opts.chain);
}

static int open_link(struct meter *m, uint16_t number, const char *ifname)
{
	struct metered *l = &m->link[number];
	int err;

	*l = (struct metered){ .attachment = ATTACHMENT_NONE, .sampler = SAMPLER_NONE };
	err = link__usable(ifname, &l->facts);
	if (err)
		return err;
	err = open_program(m, l, number, ifname);
	if (!err)
		err = harvest__lend(m->harvest, l->obj);
	if (!err && m->opts.lend)
		err = m->opts.lend(m->opts.lend_to, l->obj);
	if (!err)
		err = load(m, l, ifname);
	if (!err)
		err = pin_link(l, ifname);
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

static bool is_native(const struct metered *l)
{
	return l->attachment.mode == RECEIVE_NATIVE;
}

int meter__attach(struct meter *m, uint16_t link)
{
	struct metered *l = &m->link[link];
	int err = attach__on(&l->attachment, m->opts.mode);

	if (err || m->opts.sampling.mode == SAMPLE_MODE_NONE)
		return err;
	return sampler__tell_mode(&l->sampler, is_native(l), l->attachment.ifname);
}

void meter__detach(struct meter *m)
{
	unsigned i;

	for (i = 0; i < m->links; i++)
		attach__off(&m->link[i].attachment);
}

int meter__sockets_fd(const struct meter *m, uint16_t link)
{
	return m->link[link].sampler.sockets;
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

struct credit *meter__credits(const struct meter *m, uint16_t link)
{
	return m->link[link].sampler.credit;
}

const uint64_t *meter__arrivals(const struct meter *m, uint16_t link)
{
	const struct metered *l = &m->link[link];

	return sampler__notes_arrivals(&l->sampler, is_native(l)) ? l->sampler.arrivals : NULL;
}

int meter__slices_fd(const struct meter *m, int cpu)
{
	return m->slice[cpu];
}
