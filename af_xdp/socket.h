/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SOCKET_H
#define WIREWHO_SOCKET_H
/*
 * One AF_XDP socket on one receive queue, with frames of its own. Receives only. The program that redirects to it is
 * the meter's: the library loads none.
 */
#include <stdbool.h>
#include <stdint.h>
#include "umem.h"

enum bind_want { BIND_AUTO, BIND_ZEROCOPY, BIND_COPY };

struct queue_socket {
	struct umem umem;
	struct xsk_socket *xsk;
	struct xsk_ring_cons rx;
	int fd;
	bool zerocopy; /* what it came to, as the kernel says */
	bool pieces;   /* a frame longer than one of ours may come in several */
};

struct queue_socket_opts {
	const char *ifname;
	uint32_t queue;
	uint32_t frames, frame_size; /* as in umem.h */
	bool zerocopy;               /* this, or copy mode */
	bool pieces;                 /* since 6.6 (kernel commit 81470b5c3c66) */
	unsigned busy_poll; /* us that one queue_socket__poll_driver() polls; 0: interrupts */
};

/*
 * Returns 0 or -errno, nothing said: -EOPNOTSUPP where the driver has no zero-copy, -EINVAL where the kernel knows no
 * frames in pieces, -EBUSY where the queue has another socket, -ENOBUFS above RLIMIT_MEMLOCK without CAP_IPC_LOCK.
 */
int queue_socket__open(struct queue_socket *s, const struct queue_socket_opts *opts);
void queue_socket__close(struct queue_socket *s); /* fine on zeros */

/* Puts it into the XSKMAP: from now on frames may come. 0 or -errno. */
int queue_socket__place(struct queue_socket *s, int map_fd);

/*
 * The next piece of a frame: `size` bytes at `data`, whose UMEM address is kept for umem__give(). `more`: the same
 * frame goes on in the next piece.
 */
struct piece {
	uint8_t *data;
	uint64_t addr;
	uint32_t place; /* in the receive ring, counted on from its first piece */
	uint32_t size;
	bool more;
};

/* Takes up to `most` pieces; returns how many. They are ours until queue_socket__give(). */
unsigned queue_socket__take(struct queue_socket *s, struct piece *pieces, unsigned most);
void queue_socket__give(struct queue_socket *s, const struct piece *pieces, unsigned n);

/* Is its interface still there? 0 or -ENODEV. One that is down may come up again: 0. */
int queue_socket__check(const struct queue_socket *s);

/*
 * Busy polling: runs the driver's receive half now, in this thread, so that its interrupts need not. Since 5.11 (kernel commit
 * 7fd3253a7de6). 0 or -ENODEV.
 */
int queue_socket__poll_driver(const struct queue_socket *s);
/* Whether the kernel knows which driver instance (NAPI) to poll: from the first frame on it should. */
bool queue_socket__has_driver(const struct queue_socket *s);

/* The kernel's own counters of this socket. 0 or -errno. */
int queue_socket__statistics(const struct queue_socket *s, struct xdp_statistics *out);

/* Bytes of one frame that a frame of `frame_size` does not hold: kept free in front. */
#define FRAME_HEADROOM 256
#endif
