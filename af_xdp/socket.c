// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "xdp/say.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif
/* From <linux/if_xdp.h> of 6.6; the installed one may be older than the kernel. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#define SO_BUSY_POLL_BUDGET 70
#endif

#define BATCH_MOST 64
#define DOWN_US 50000 /* an interface that is down is asked so often whether it is up again */

static int open_xsk(struct queue_socket *s, const struct queue_socket_opts *o)
{
	const struct xsk_socket_config config = {
		.rx_size = o->frames, /* as many as there are frames: this ring is never full */
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (o->zerocopy ? XDP_ZEROCOPY : XDP_COPY) | XDP_USE_NEED_WAKEUP |
			      (o->pieces ? XDP_USE_SG : 0),
	};

	return xsk_socket__create(&s->xsk, o->ifname, o->queue, s->umem.xsk, &s->rx, NULL, &config);
}

static int read_outcome(struct queue_socket *s)
{
	struct xdp_options options = {};
	socklen_t size = sizeof(options);

	if (getsockopt(s->fd, SOL_XDP, XDP_OPTIONS, &options, &size))
		return -errno;
	s->zerocopy = options.flags & XDP_OPTIONS_ZEROCOPY;
	return 0;
}

/* In the driver's stead: as many frames as a driver's own poll takes, and interrupts only when nobody polls. */
static int set_busy_poll(const struct queue_socket *s, unsigned us)
{
	const int yes = 1, budget = BATCH_MOST, time = us;

	if (setsockopt(s->fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &yes, sizeof(yes)) ||
	    setsockopt(s->fd, SOL_SOCKET, SO_BUSY_POLL, &time, sizeof(time)) ||
	    setsockopt(s->fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &budget, sizeof(budget)))
		return fail(-errno, "this needs CAP_NET_ADMIN, and kernel 5.11",
			    "set busy polling on an AF_XDP socket");
	return 0;
}

int queue_socket__open(struct queue_socket *s, const struct queue_socket_opts *opts)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->pieces = opts->pieces;
	err = umem__open(&s->umem, opts->frames, opts->frame_size);
	if (!err)
		err = open_xsk(s, opts);
	if (!err) {
		s->fd = xsk_socket__fd(s->xsk);
		err = read_outcome(s);
	}
	if (!err && opts->busy_poll)
		err = set_busy_poll(s, opts->busy_poll);
	if (err)
		queue_socket__close(s);
	return err;
}

void queue_socket__close(struct queue_socket *s)
{
	xsk_socket__delete(s->xsk);
	umem__close(&s->umem);
	memset(s, 0, sizeof(*s));
}

int queue_socket__place(struct queue_socket *s, int map_fd)
{
	return xsk_socket__update_xskmap(s->xsk, map_fd);
}

unsigned queue_socket__take(struct queue_socket *s, struct piece *pieces, unsigned most)
{
	uint32_t at;
	unsigned n = xsk_ring_cons__peek(&s->rx, most < BATCH_MOST ? most : BATCH_MOST, &at), i;

	for (i = 0; i < n; i++) {
		const struct xdp_desc *d = xsk_ring_cons__rx_desc(&s->rx, at + i);

		pieces[i] = (struct piece){ .data = umem__take(&s->umem, d->addr),
					    .addr = d->addr,
					    .place = at + i,
					    .size = d->len,
					    .more = d->options & XDP_PKT_CONTD };
	}
	if (n)
		xsk_ring_cons__release(&s->rx, n);
	return n;
}

void queue_socket__give(struct queue_socket *s, const struct piece *pieces, unsigned n)
{
	uint64_t addr[BATCH_MOST];
	unsigned i;

	for (i = 0; i < n; i++)
		addr[i] = pieces[i].addr;
	umem__give(&s->umem, addr, n);
	/* A driver that ran out of frames sleeps until somebody says that there are some again. */
	if (xsk_ring_prod__needs_wakeup(&s->umem.fill))
		recvfrom(s->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* The kernel lets poll() sleep on: only a system call on the socket itself tells. */
int queue_socket__check(const struct queue_socket *s)
{
	if (recvfrom(s->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) < 0 && errno == ENXIO)
		return -ENODEV;
	return 0;
}

int queue_socket__poll_driver(const struct queue_socket *s)
{
	if (recvfrom(s->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL) >= 0 || errno == EAGAIN)
		return 0;
	if (errno == ENETDOWN)
		usleep(DOWN_US);
	return errno == ENXIO ? -ENODEV : 0;
}

bool queue_socket__has_driver(const struct queue_socket *s)
{
	unsigned napi = 0;
	socklen_t size = sizeof(napi);

	return !getsockopt(s->fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &napi, &size) && napi;
}

int queue_socket__statistics(const struct queue_socket *s, struct xdp_statistics *out)
{
	socklen_t size = sizeof(*out);

	memset(out, 0, sizeof(*out));
	return getsockopt(s->fd, SOL_XDP, XDP_STATISTICS, out, &size) ? -errno : 0;
}
