// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sampler.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "attach.h"
#include "probe.h"
#include "say.h"
#include "without_call.h"
#include "xdp/sampler.skel.h"

/* ---- copy: a ring buffer for each CPU ---- */

void slices__close(int *ring, int array)
{
	int cpu;

	for (cpu = 0; ring && cpu < libbpf_num_possible_cpus(); cpu++)
		if (ring[cpu] > 0)
			close(ring[cpu]);
	free(ring);
	if (array >= 0)
		close(array);
}

static int fill_slices(int *ring, int *array, uint32_t size, uint32_t cpus)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	uint32_t cpu;

	for (cpu = 0; cpu < cpus; cpu++) {
		ring[cpu] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "slice_ring", 0, 0, size, NULL);
		if (ring[cpu] < 0)
			return -errno;
		opts.inner_map_fd = ring[cpu];
		if (!cpu)
			*array = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "slices", sizeof(cpu),
						sizeof(cpu), cpus, &opts);
		if (*array < 0 || bpf_map_update_elem(*array, &cpu, &ring[cpu], BPF_ANY))
			return -errno;
	}
	return 0;
}

int slices__open(int **ring, int *array, uint32_t size)
{
	int cpus = libbpf_num_possible_cpus(), all = -1, err;
	int *made = calloc(cpus, sizeof(*made));

	if (!made)
		return -ENOMEM;
	err = fill_slices(made, &all, size, cpus);
	if (err) {
		slices__close(made, all);
		return err;
	}
	*ring = made;
	*array = all;
	return 0;
}

/* ---- the maps of an interface ---- */

static size_t arrivals_bytes(const struct sampler *s)
{
	return (size_t)s->queues * ARRIVALS * sizeof(*s->arrivals);
}

static int make_sockets(struct sampler *s)
{
	s->sockets = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sockets", sizeof(uint32_t),
				    sizeof(uint32_t), s->queues, NULL);
	if (s->sockets < 0)
		return fail(-errno, "run as root, or with CAP_BPF and CAP_NET_ADMIN",
			    "make the AF_XDP socket map");
	return bpf_map__reuse_fd(s->skel->maps.sockets, s->sockets);
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
static int make_credits(struct sampler *s)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int err;

	s->credit_bytes = (s->queues * sizeof(struct credit) + page - 1) / page * page;
	err = make_array("credits", sizeof(struct credit), s->queues, s->credit_bytes,
			 &s->credit_map, (void **)&s->credit);
	return err ? err : bpf_map__reuse_fd(s->skel->maps.credits, s->credit_map);
}

static int make_arrivals(struct sampler *s)
{
	int err = make_array("arrivals", sizeof(*s->arrivals), s->queues * ARRIVALS,
			     arrivals_bytes(s), &s->arrivals_map, (void **)&s->arrivals);

	return err ? err : bpf_map__reuse_fd(s->skel->maps.arrivals, s->arrivals_map);
}

static int lend(struct sampler *s, const struct sampler_opts *o)
{
	uint32_t mode = o->sampling.mode;
	int err = make_sockets(s);

	if (!err && mode == SAMPLE_MODE_INLINE)
		err = make_credits(s);
	if (!err && mode != SAMPLE_MODE_COPY)
		err = make_arrivals(s);
	if (!err && mode == SAMPLE_MODE_COPY)
		err = bpf_map__reuse_fd(s->skel->maps.slices, o->slices);
	return err;
}

/* ---- the program ---- */

/*
 * Since 6.13 ("bpf: check changes_pkt_data property for extension programs", and older kernels took it over) what takes a
 * place in libxdp's dispatcher may change packets only where the dispatcher itself might. Room for the moment of arrival is
 * such a change.
 */
static bool must_not_stamp(const struct sampler_opts *o)
{
	bool redirects = o->sampling.mode != SAMPLE_MODE_COPY;

	if (!attach__is_chained() || !probe__chained_change())
		return false;
	if (redirects)
		say(SAY_NOTE,
		    "%s: this kernel lets no program in libxdp's dispatcher write beside a packet (%s): its "
		    "time is when it was read, not when it came",
		    o->ifname, strerror(-probe__chained_change()));
	return true;
}

static struct sampler_bpf *open_unstamped(void)
{
	struct sampler_bpf *skel = calloc(1, sizeof(*skel));
	void *copy = NULL;
	int err = skel ? sampler_bpf__create_skeleton(skel) : -ENOMEM;

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
		sampler_bpf__destroy(skel);
		errno = -err;
		return NULL;
	}
	return skel;
}

static void set_constants(struct sampler *s, const struct sampler_opts *o)
{
	s->skel->rodata->link_number = o->link;
	s->skel->rodata->link_raw = o->raw;
	s->skel->rodata->sampling = o->sampling;
	s->skel->rodata->look_inside = !probe__kernel_context();
	if (o->match)
		s->skel->rodata->match = *o->match;
}

int sampler__open(struct sampler *s, const struct sampler_opts *o)
{
	*s = (struct sampler)SAMPLER_NONE;
	s->queues = o->queues;
	s->skel = must_not_stamp(o) ? open_unstamped() : sampler_bpf__open();
	if (!s->skel)
		return fail(-errno, NULL, "open the XDP program");
	set_constants(s, o);
	return lend(s, o);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void sampler__close(struct sampler *s)
{
	sampler_bpf__destroy(s->skel);
	close_fd(s->sockets);
	if (s->credit)
		munmap(s->credit, s->credit_bytes);
	close_fd(s->credit_map);
	if (s->arrivals)
		munmap(s->arrivals, arrivals_bytes(s));
	close_fd(s->arrivals_map);
	*s = (struct sampler)SAMPLER_NONE;
}

struct bpf_object *sampler__object(const struct sampler *s)
{
	return s->skel->obj;
}

/* Generic XDP runs one queue on several CPUs, and each frame is a poll of its own. */
int sampler__tell_mode(struct sampler *s, bool native, const char *ifname)
{
	const uint32_t key = 0, value = native;
	int fd = bpf_map__fd(s->skel->maps.data_poll);

	return bpf_map_update_elem(fd, &key, &value, BPF_ANY)
		       ? fail(-errno, NULL, "tell the XDP program of %s how it is attached", ifname)
		       : 0;
}

bool sampler__notes_arrivals(const struct sampler *s, bool native)
{
	return s->skel->rodata->look_inside && native;
}
