// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "meter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "link.h"
#include "pin.h"
#include "probe.h"
#include "say.h"
#include "without_call.h"
#include "xdp/ingress.skel.h"
#include "xdp/meter.skel.h"

#define PROGRAM "wirewho_meter"
#define TC_PROGRAM "wirewho_ingress"
#define SLICE_RING (1u << 20)

struct metered {
	struct meter_bpf *skel;
	struct ingress_bpf *tc; /* in its place: RECEIVE_TC */
	struct attachment attachment;
	struct link_facts facts;
	int sockets; /* XSKMAP */
	int credit_map;
	struct credit *credit; /* one a queue, mapped */
	size_t credit_bytes;
	int arrivals_map;
	uint64_t *arrivals; /* ARRIVALS a queue, mapped */
};

struct meter {
	struct meter_opts opts;
	struct harvest *harvest;
	struct metered link[LINKS_MAX];
	unsigned links;
	int slices; /* copy: the array of ring buffers, or -1 */
	int *slice; /* one a CPU */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Copy: a ring buffer for each CPU. */
static int make_slices(struct meter *m)
{
	uint32_t size = m->opts.slice_ring ? m->opts.slice_ring : SLICE_RING, cpu;
	uint32_t cpus = libbpf_num_possible_cpus();
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	m->slice = calloc(cpus, sizeof(*m->slice));
	if (!m->slice)
		return -ENOMEM;
	for (cpu = 0; cpu < cpus; cpu++) {
		m->slice[cpu] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "slice_ring", 0, 0, size,
					       NULL);
		if (m->slice[cpu] < 0)
			return -errno;
		opts.inner_map_fd = m->slice[cpu];
		if (!cpu)
			m->slices = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "slices",
						   sizeof(cpu), sizeof(cpu), cpus, &opts);
		if (m->slices < 0 || bpf_map_update_elem(m->slices, &cpu, &m->slice[cpu], BPF_ANY))
			return -errno;
	}
	return 0;
}

static void close_slices(struct meter *m)
{
	int cpu;

	for (cpu = 0; m->slice && cpu < libbpf_num_possible_cpus(); cpu++)
		if (m->slice[cpu] > 0)
			close(m->slice[cpu]);
	free(m->slice);
	close_fd(&m->slices);
}

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
		err = make_slices(m);
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

static size_t arrivals_bytes(const struct metered *l)
{
	return (size_t)l->facts.queues * ARRIVALS * sizeof(*l->arrivals);
}

static void close_link(struct metered *l)
{
	attach__off(&l->attachment);
	meter_bpf__destroy(l->skel);
	l->skel = NULL;
	ingress_bpf__destroy(l->tc);
	l->tc = NULL;
	close_fd(&l->sockets);
	if (l->credit)
		munmap(l->credit, l->credit_bytes);
	l->credit = NULL;
	close_fd(&l->credit_map);
	if (l->arrivals)
		munmap(l->arrivals, arrivals_bytes(l));
	l->arrivals = NULL;
	close_fd(&l->arrivals_map);
}

void meter__close(struct meter *m)
{
	unsigned i;

	if (!m)
		return;
	for (i = 0; i < m->links; i++)
		close_link(&m->link[i]);
	close_slices(m);
	harvest__close(m->harvest);
	free(m);
}

static void set_constants(const struct meter *m, struct metered *l, uint16_t number)
{
	l->skel->rodata->link_number = number;
	l->skel->rodata->link_raw = l->facts.raw;
	l->skel->rodata->match_counts = m->opts.match_counts;
	l->skel->rodata->sampling = m->opts.sampling;
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

/* An array that we share with the program: its descriptor and its memory. 0 or -errno (said). */
static int make_array(const char *name, uint32_t size, uint32_t n, size_t bytes, int *fd, void **at)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	void *mapped;

	*fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), size, n, &opts);
	if (*fd < 0)
		return fail(-errno, NULL, "make the map of %s", name);
	mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (mapped == MAP_FAILED)
		return fail(-errno, NULL, "map the %s", name);
	*at = mapped;
	return 0;
}

/* Inline: a credit for each queue, none to spend yet. */
static int make_credits(struct metered *l)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int err;

	l->credit_bytes = (l->facts.queues * sizeof(struct credit) + page - 1) / page * page;
	err = make_array("credits", sizeof(struct credit), l->facts.queues, l->credit_bytes,
			 &l->credit_map, (void **)&l->credit);
	return err ? err : bpf_map__reuse_fd(l->skel->maps.credits, l->credit_map);
}

static int make_arrivals(struct metered *l)
{
	int err = make_array("arrivals", sizeof(*l->arrivals), l->facts.queues * ARRIVALS,
			     arrivals_bytes(l), &l->arrivals_map, (void **)&l->arrivals);

	return err ? err : bpf_map__reuse_fd(l->skel->maps.arrivals, l->arrivals_map);
}

static int lend_samples(struct meter *m, struct metered *l)
{
	bool is_inline = m->opts.sampling.mode == SAMPLE_MODE_INLINE;
	int err = make_sockets(l);

	if (!err && is_inline)
		err = make_credits(l);
	if (!err && (is_inline || m->opts.sampling.mode == SAMPLE_MODE_TAP))
		err = make_arrivals(l);
	if (!err && m->slices >= 0)
		err = bpf_map__reuse_fd(l->skel->maps.slices, m->slices);
	return err;
}

static struct bpf_object *object(const struct metered *l)
{
	return l->tc ? l->tc->obj : l->skel->obj;
}

static int pin_link(const struct metered *l, const char *ifname)
{
	char name[sizeof("meter-") + IF_NAMESIZE];

	snprintf(name, sizeof(name), "meter-%s", ifname);
	return pins__add(name, object(l));
}

/*
 * Since 6.13 ("bpf: check changes_pkt_data property for extension programs", and older kernels took it over) what takes a
 * place in libxdp's dispatcher may change packets only where the dispatcher itself might. Room for the moment of arrival is
 * such a change.
 */
static bool must_not_stamp(const struct meter *m, const char *ifname)
{
	bool sampled = m->opts.sampling.mode == SAMPLE_MODE_TAP ||
		       m->opts.sampling.mode == SAMPLE_MODE_INLINE;

	if (!attach__is_chained() || !probe__chained_change())
		return false;
	if (sampled)
		say(SAY_NOTE,
		    "%s: this kernel lets no program in libxdp's dispatcher write beside a packet (%s): its "
		    "time is when it was read, not when it came",
		    ifname, strerror(-probe__chained_change()));
	return true;
}

static struct meter_bpf *open_unstamped(void)
{
	struct meter_bpf *skel = calloc(1, sizeof(*skel));
	void *copy = NULL;
	int err = skel ? meter_bpf__create_skeleton(skel) : -ENOMEM;

	if (!err) {
		copy = malloc(skel->skeleton->data_sz);
		err = copy ? 0 : -ENOMEM;
	}
	if (!err) {
		memcpy(copy, skel->skeleton->data, skel->skeleton->data_sz);
		without_call(copy, skel->skeleton->data_sz, BPF_FUNC_xdp_adjust_meta, -EOPNOTSUPP);
		skel->skeleton->data = copy;
		err = bpf_object__open_skeleton(skel->skeleton, NULL);
	}
	free(copy);
	if (err) {
		meter_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

static int open_xdp(struct meter *m, struct metered *l, uint16_t number, const char *ifname)
{
	l->skel = must_not_stamp(m, ifname) ? open_unstamped() : meter_bpf__open();
	if (!l->skel)
		return fail(-errno, NULL, "open the XDP program");
	set_constants(m, l, number);
	return lend_samples(m, l);
}

static int open_tc(const struct meter *m, struct metered *l, uint16_t number)
{
	l->tc = ingress_bpf__open();
	if (!l->tc)
		return fail(-errno, NULL, "open the tc ingress program");
	l->tc->rodata->link_number = number;
	l->tc->rodata->link_raw = l->facts.raw;
	l->tc->rodata->match_counts = m->opts.match_counts;
	if (m->opts.match)
		l->tc->rodata->match = *m->opts.match;
	return 0;
}

static int load(const struct meter *m, struct metered *l, const char *ifname)
{
	return l->tc ? attach__load_tc(&l->attachment, object(l), TC_PROGRAM, ifname)
		     : attach__load(&l->attachment, object(l), PROGRAM, ifname, &m->opts.chain);
}

static int open_link(struct meter *m, uint16_t number, const char *ifname)
{
	struct metered *l = &m->link[number];
	int err;

	*l = (struct metered){
		.attachment = ATTACHMENT_NONE, .sockets = -1, .credit_map = -1, .arrivals_map = -1
	};
	err = link__usable(ifname, &l->facts);
	if (err)
		return err;
	err = m->opts.mode == RECEIVE_TC ? open_tc(m, l, number) : open_xdp(m, l, number, ifname);
	if (!err)
		err = harvest__lend(m->harvest, object(l));
	if (!err && m->opts.lend)
		err = m->opts.lend(m->opts.lend_to, object(l));
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

/* Generic XDP runs one queue on several CPUs, and each frame is a poll of its own. */
static bool by_poll(const struct metered *l)
{
	return l->attachment.mode == RECEIVE_NATIVE;
}

static int tell_mode(const struct metered *l)
{
	const uint32_t key = 0, value = by_poll(l);
	int fd = bpf_map__fd(l->skel->maps.data_poll);

	return bpf_map_update_elem(fd, &key, &value, BPF_ANY)
		       ? fail(-errno, NULL, "tell the XDP program of %s how it is attached",
			      l->attachment.ifname)
		       : 0;
}

int meter__attach(struct meter *m, uint16_t link)
{
	int err = attach__on(&m->link[link].attachment, m->opts.mode);

	return err || m->opts.mode == RECEIVE_TC ? err : tell_mode(&m->link[link]);
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

struct credit *meter__credits(const struct meter *m, uint16_t link)
{
	return m->link[link].credit;
}

const uint64_t *meter__arrivals(const struct meter *m, uint16_t link)
{
	const struct metered *l = &m->link[link];

	return l->skel->rodata->look_inside && by_poll(l) ? l->arrivals : NULL;
}

int meter__slices_fd(const struct meter *m, int cpu)
{
	return m->slice[cpu];
}
