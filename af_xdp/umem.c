// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "umem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define COMPLETIONS 64 /* the library insists on a ring; nothing is ever sent */

#ifdef DEBUG
static int own__open(struct umem *u)
{
	u->ours = calloc(u->frames, 1);
	return u->ours ? 0 : -ENOMEM;
}

static void own__move(struct umem *u, uint64_t addr, uint8_t from, uint8_t to)
{
	uint64_t frame = addr / u->frame_size;

	assert(frame < u->frames);
	assert(u->ours[frame] == from);
	u->ours[frame] = to;
}
#else
static int own__open(struct umem *u)
{
	u->ours = NULL;
	return 0;
}

static void own__move(struct umem *u, uint64_t addr, uint8_t from, uint8_t to)
{
	(void)u, (void)addr, (void)from, (void)to;
}
#endif

static void fill_all(struct umem *u)
{
	uint32_t at = 0, i;

	xsk_ring_prod__reserve(&u->fill, u->frames, &at);
	for (i = 0; i < u->frames; i++)
		*xsk_ring_prod__fill_addr(&u->fill, at + i) = (uint64_t)i * u->frame_size;
	xsk_ring_prod__submit(&u->fill, u->frames);
}

int umem__open(struct umem *u, uint32_t frames, uint32_t frame_size)
{
	const struct xsk_umem_config config = { .fill_size = 2 * frames,
						.comp_size = COMPLETIONS,
						.frame_size = frame_size };
	size_t bytes = (size_t)frames * frame_size;
	void *area;
	int err;

	*u = (struct umem){ .frames = frames, .frame_size = frame_size };
	area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	u->area = area;
	err = own__open(u);
	if (!err)
		err = xsk_umem__create(&u->xsk, area, bytes, &u->fill, &u->completion, &config);
	if (err) {
		umem__close(u);
		return err;
	}
	fill_all(u);
	return 0;
}

void umem__close(struct umem *u)
{
	xsk_umem__delete(u->xsk);
	if (u->area)
		munmap(u->area, (size_t)u->frames * u->frame_size);
	free(u->ours);
	*u = (struct umem){};
}

uint8_t *umem__take(struct umem *u, uint64_t addr)
{
	own__move(u, addr, 0, 1);
	return u->area + addr;
}

void umem__give(struct umem *u, const uint64_t *addr, unsigned n)
{
	uint32_t at = 0, reserved = xsk_ring_prod__reserve(&u->fill, n, &at);
	unsigned i;

	assert(reserved == n);
	(void)reserved;
	for (i = 0; i < n; i++) {
		own__move(u, addr[i], 1, 0);
		*xsk_ring_prod__fill_addr(&u->fill, at + i) = addr[i] &
							      ~(uint64_t)(u->frame_size - 1);
	}
	xsk_ring_prod__submit(&u->fill, n);
}
