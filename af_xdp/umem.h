/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_UMEM_H
#define WIREWHO_UMEM_H
/*
 * The frames that one AF_XDP socket shares with the kernel, in ordinary pages.
 *
 * Each frame has one owner: the kernel (in the fill ring, in the driver, or in the receive ring) or us. They all start
 * with the kernel; umem__take() makes one ours, umem__give() hands it back. Built with -DDEBUG, each step is asserted.
 *
 * The fill ring has twice as many places as there are frames, so giving back cannot fail, and no list of spare frames is
 * needed. Once would not do: the kernel takes from the ring up to where it last looked, at most all the frames, before
 * it says so; and all of these may have come back to us, and into the ring again, by then.
 */
#include <stdint.h>
#include <xdp/xsk.h>

struct umem {
	uint8_t *area;
	uint32_t frames;     /* a power of two */
	uint32_t frame_size; /* a power of two, from 2048 to the page size */
	struct xsk_umem *xsk;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	uint8_t *ours; /* by frame; -DDEBUG only */
};

/* `u` must not move afterwards: libxdp keeps pointers to its rings. Returns 0 or -errno, nothing said. */
int umem__open(struct umem *u, uint32_t frames, uint32_t frame_size);
void umem__close(struct umem *u); /* its socket is closed before; fine on zeros */

/* The frame at a received descriptor's address is ours now. Returns its first byte of packet data. */
uint8_t *umem__take(struct umem *u, uint64_t addr);
/* Hands `n` frames back to the kernel; any address inside a frame will do. */
void umem__give(struct umem *u, const uint64_t *addr, unsigned n);
#endif
