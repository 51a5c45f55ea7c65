// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "reinject.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "frames.h"
#include "xdp/pin.h"
#include "xdp/say.h"
#include "af_xdp/reinject.skel.h" /* after the types it speaks of */

struct reinject {
	struct reinject_bpf *skel;
	struct frame_out *frames;
	size_t frames_size;
};

_Static_assert(REINJECT_BATCH == FRAMES_BATCH && REINJECT_MOST == FRAMES_MOST, "one size");

static int map_frames(struct reinject *r)
{
	size_t page = sysconf(_SC_PAGESIZE), size = FRAMES_BATCH * sizeof(struct frame_out);
	void *at;

	r->frames_size = (size + page - 1) / page * page;
	at = mmap(NULL, r->frames_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		  bpf_map__fd(r->skel->maps.frames), 0);
	if (at == MAP_FAILED)
		return -errno;
	r->frames = at;
	return 0;
}

static int load(struct reinject *r)
{
	r->skel = reinject_bpf__open_and_load();
	return r->skel ? 0 : -errno;
}

int reinject__open(struct reinject **out)
{
	struct reinject *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = load(r);
	if (!err)
		err = map_frames(r);
	if (err) {
		fail(err, "it needs CAP_BPF and CAP_NET_ADMIN; --sample copy does without",
		     "prepare to put frames back into the stack");
		reinject__close(r);
		return err;
	}
	*out = r;
	return 0;
}

int reinject__pin(const struct reinject *r, const char *name)
{
	return pins__add(name, r->skel->obj);
}

void reinject__close(struct reinject *r)
{
	if (!r)
		return;
	if (r->frames)
		munmap(r->frames, r->frames_size);
	reinject_bpf__destroy(r->skel);
	free(r);
}

uint8_t *reinject__frame(struct reinject *r, unsigned i)
{
	return r->frames[i].data;
}

void reinject__set_length(struct reinject *r, unsigned i, uint32_t length)
{
	r->frames[i].length = length;
}

/* The kernel tells only by the interface's word, not by an errno, that it has dropped one. */
static int errno_of(int error)
{
	return error < 0 ? error : -ENOBUFS;
}

/*
 * What the kernel makes the packet of holds nothing, the program writes over it; it has the first one's length, so that a
 * frame which comes alone need not grow.
 */
int reinject__run(struct reinject *r, unsigned ifindex, unsigned first, unsigned n)
{
	static const unsigned char nothing[REINJECT_MOST];
	struct __sk_buff in = { .ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = nothing,
		    .data_size_in = r->frames[first].length, .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .repeat = n - first);
	struct frames_state *state = &r->skel->data_state->state;
	int err;

	*state = (struct frames_state){ .next = first };
	err = bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.wirewho_reinject), &opts)
		      ? -errno
		      : 0;
	if (state->next > first)
		return state->next - first;
	return err ? err : errno_of(state->error);
}
