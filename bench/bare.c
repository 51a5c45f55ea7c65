// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "bare.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>
#include "generator.h"
#include "xdp/say.h"
#include "bench/bare.skel.h"

#define FRAMES 4096
#define FRAME_SIZE 4096
#define BATCH 64
#define SOL_XDP_LEVEL 283
#define OPEN_TRIES 40
#define OPEN_NAP_US 50000

struct bare {
	struct bare_bpf *skel;
	int link;
	void *area;
	struct xsk_umem *umem;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion, rx;
	struct xsk_socket *xsk;
	unsigned cpu;
	bool stop, started;
	uint64_t received;
	pthread_t thread;
};

/* ---- the loop ---- */

static void wake_kernel(struct bare *b)
{
	if (xsk_ring_prod__needs_wakeup(&b->fill))
		recvfrom(xsk_socket__fd(b->xsk), NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* True when there was anything. */
static bool receive(struct bare *b)
{
	uint32_t from = 0, to = 0;
	unsigned n = xsk_ring_cons__peek(&b->rx, BATCH, &from), i;

	if (!n) {
		wake_kernel(b);
		return false;
	}
	while (xsk_ring_prod__reserve(&b->fill, n, &to) != n)
		wake_kernel(b);
	for (i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&b->fill, to + i) = xsk_umem__extract_addr(
			xsk_ring_cons__rx_desc(&b->rx, from + i)->addr);
	xsk_ring_prod__submit(&b->fill, n);
	xsk_ring_cons__release(&b->rx, n);
	b->received += n;
	return true;
}

static void *run(void *to)
{
	struct bare *b = to;

	if (generator__pin(b->cpu))
		return NULL;
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE))
		receive(b);
	while (receive(b))
		;
	return NULL;
}

/* ---- making ---- */

static int make_umem(struct bare *b)
{
	const struct xsk_umem_config config = { .fill_size = 2 * FRAMES,
						.comp_size = 64,
						.frame_size = FRAME_SIZE };
	size_t bytes = (size_t)FRAMES * FRAME_SIZE;
	uint32_t at = 0, i;
	int err;

	b->area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->area == MAP_FAILED)
		return -errno;
	err = xsk_umem__create(&b->umem, b->area, bytes, &b->fill, &b->completion, &config);
	if (err)
		return err;
	xsk_ring_prod__reserve(&b->fill, FRAMES, &at);
	for (i = 0; i < FRAMES; i++)
		*xsk_ring_prod__fill_addr(&b->fill, at + i) = (uint64_t)i * FRAME_SIZE;
	xsk_ring_prod__submit(&b->fill, FRAMES);
	return 0;
}

/* The kernel frees the queue of the socket before this one a little later. */
static int make_socket(struct bare *b, const char *ifname)
{
	const struct xsk_socket_config config = {
		.rx_size = FRAMES,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
	};
	int err, tries = OPEN_TRIES;

	while ((err = xsk_socket__create(&b->xsk, ifname, 0, b->umem, &b->rx, NULL, &config)) ==
		       -EBUSY &&
	       --tries)
		usleep(OPEN_NAP_US);
	return err ? err
		   : xsk_socket__update_xskmap(b->xsk, bpf_map__fd(b->skel->maps.bare_sockets));
}

static int attach(struct bare *b, const char *ifname)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);

	b->skel = bare_bpf__open_and_load();
	if (!b->skel)
		return -errno;
	b->link = bpf_link_create(bpf_program__fd(b->skel->progs.bare_redirect),
				  if_nametoindex(ifname), BPF_XDP, &opts);
	return b->link < 0 ? -errno : 0;
}

int bare__open(struct bare **out, const char *ifname, unsigned cpu)
{
	struct bare *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return -ENOMEM;
	b->cpu = cpu;
	err = attach(b, ifname);
	if (!err)
		err = make_umem(b);
	if (!err)
		err = make_socket(b, ifname);
	if (!err)
		err = -pthread_create(&b->thread, NULL, run, b);
	b->started = !err;
	if (err) {
		fail(err, "run as root", "make a bare AF_XDP socket on %s", ifname);
		bare__close(b);
		return err;
	}
	*out = b;
	return 0;
}

uint64_t bare__stop(struct bare *b, struct xdp_statistics *stats)
{
	socklen_t size = sizeof(*stats);

	close(b->link);
	b->link = 0;
	__atomic_store_n(&b->stop, true, __ATOMIC_RELEASE);
	pthread_join(b->thread, NULL);
	b->started = false;
	*stats = (struct xdp_statistics){ 0 };
	getsockopt(xsk_socket__fd(b->xsk), SOL_XDP_LEVEL, XDP_STATISTICS, stats, &size);
	return b->received;
}

void bare__close(struct bare *b)
{
	struct xdp_statistics ignored;

	if (!b)
		return;
	if (b->started)
		bare__stop(b, &ignored);
	if (b->link > 0)
		close(b->link);
	xsk_socket__delete(b->xsk);
	xsk_umem__delete(b->umem);
	if (b->area && b->area != MAP_FAILED)
		munmap(b->area, (size_t)FRAMES * FRAME_SIZE);
	bare_bpf__destroy(b->skel);
	free(b);
}
