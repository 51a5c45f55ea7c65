// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "reinject.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "frames.h"
#include "veth.h"
#include "xdp/pin.h"
#include "xdp/say.h"
#include "af_xdp/reinject.skel.h" /* after the types it speaks of */

struct reinject {
	struct reinject_bpf *skel;
	struct frame_out *frames;
	size_t frames_size;
	int anchor; /* BPF link on the hidden veth */
	int netns;  /* its network namespace */
	int err;    /* of the thread that made both */
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

/* In a thread of its own, because it changes its network namespace. The descriptor keeps the namespace. */
static void *make_anchor(void *to)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	struct reinject *r = to;

	if (unshare(CLONE_NEWNET)) {
		r->err = -errno;
		return NULL;
	}
	r->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	r->err = r->netns < 0 ? -errno : veth__make("wirewho-a", "wirewho-b");
	if (r->err)
		return NULL;
	r->anchor = bpf_link_create(bpf_program__fd(r->skel->progs.wirewho_reinject),
				    if_nametoindex("wirewho-a"), BPF_XDP, &opts);
	r->err = r->anchor < 0 ? -errno : 0;
	return NULL;
}

static int anchor(struct reinject *r)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, make_anchor, r);

	if (err)
		return -err;
	pthread_join(thread, NULL);
	return r->err;
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
	r->anchor = r->netns = -1;
	err = load(r);
	if (!err)
		err = map_frames(r);
	if (!err)
		err = anchor(r);
	if (err) {
		fail(err, "it needs CAP_SYS_ADMIN and kernel 5.18; --sample copy does without",
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
	if (r->anchor >= 0)
		close(r->anchor);
	if (r->netns >= 0)
		close(r->netns);
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

/*
 * The kernel copies a first frame in and refuses one below 14 bytes, or zero repeats; what it holds does not matter,
 * the program writes over it. Its size is the smallest, since growing costs nothing.
 */
int reinject__run(struct reinject *r, unsigned ifindex, unsigned n)
{
	static unsigned char first[64];
	struct xdp_md in = { .data_end = sizeof(first), .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = first, .data_size_in = sizeof(first),
		    .ctx_in = &in, .ctx_size_in = sizeof(in), .repeat = n,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = REINJECT_BATCH);
	struct frames_state *state = &r->skel->data_state->state;

	*state = (struct frames_state){};
	if (bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.wirewho_reinject), &opts) &&
	    !state->passed)
		return -errno;
	return state->passed;
}
