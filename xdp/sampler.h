/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SAMPLER_H
#define WIREWHO_SAMPLER_H
/*
 * The sampler: what stands in the meter's place on an interface whose packets are looked at. Its program, and the maps by which
 * it hands them over: AF_XDP sockets, times of arrival, credit, ring buffers. Belongs to the meter, which attaches it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "flow.h"
#include "match.h"

struct bpf_object;

struct sampler {
	struct sampler_bpf *skel;
	unsigned queues;
	int sockets; /* XSKMAP */
	int credit_map;
	struct credit *credit; /* one a queue, mapped */
	size_t credit_bytes;
	int arrivals_map;
	uint64_t *arrivals; /* ARRIVALS a queue, mapped */
};

#define SAMPLER_NONE \
	{ \
		.sockets = -1, .credit_map = -1, .arrivals_map = -1 \
	}

struct sampler_opts {
	const char *ifname;
	uint16_t link;
	bool raw;
	unsigned queues;
	const struct match *match; /* NULL: none */
	struct sampling sampling;
	int slices; /* copy: the array of ring buffers */
};

/* Opens the program and gives it its maps, but for the tables'. 0 or -errno (said). */
int sampler__open(struct sampler *s, const struct sampler_opts *opts);
void sampler__close(struct sampler *s); /* fine on SAMPLER_NONE */
struct bpf_object *sampler__object(const struct sampler *s);

/* Once attached: does it stand in native XDP? 0 or -errno (said). */
int sampler__tell_mode(struct sampler *s, bool native, const char *ifname);
/* Times of arrival in `arrivals`, and not in front of the frames? */
bool sampler__notes_arrivals(const struct sampler *s, bool native);

/* Copy: a ring buffer of `size` bytes for each CPU; their descriptors, and that of the array of them. 0 or -errno. */
int slices__open(int **ring, int *array, uint32_t size);
void slices__close(int *ring, int array); /* fine on NULL and -1 */
#endif
