// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* io_uring: accept, receive and send without a system call each. */
#include "actor.h"

#include <liburing.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE 64

static struct io_uring ring;

static void open_ring(unsigned flags)
{
	if (io_uring_queue_init(32, &ring, flags))
		skip("io_uring is not allowed here");
}

static int finish(const char *what)
{
	struct io_uring_cqe *cqe;
	int result;

	must(io_uring_submit(&ring), "submit");
	must(io_uring_wait_cqe(&ring, &cqe), "wait");
	result = must(cqe->res, what);
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

static int ring_receive(int fd, char *data, unsigned flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_recv(sqe, fd, data, MESSAGE, MSG_WAITALL);
	sqe->flags |= flags;
	return finish("receive by io_uring");
}

static void ring_send(int fd, const char *data, unsigned flags)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	io_uring_prep_send(sqe, fd, data, MESSAGE, MSG_WAITALL);
	sqe->flags |= flags;
	finish("send by io_uring");
}

/* IOSQE_ASYNC: a worker thread of the kernel's does it, in the process's name. */
static void serve(const struct scenario *s, unsigned flags)
{
	int listener = tcp_listen(family_of(s->host), 8), i, fd;
	char data[MESSAGE];

	own_port("tcp");
	ready();
	for (i = 0; i < s->n; i++) {
		io_uring_prep_accept(io_uring_get_sqe(&ring), listener, NULL, NULL, 0);
		fd = finish("accept by io_uring");
		while (ring_receive(fd, data, flags))
			ring_send(fd, data, flags);
		close(fd);
	}
}

static void uring_serve(const struct scenario *s)
{
	open_ring(0);
	serve(s, 0);
}

static void worker_serve(const struct scenario *s)
{
	open_ring(0);
	serve(s, IOSQE_ASYNC);
}

/* The kernel's thread looks into the ring by itself. */
static void polled_serve(const struct scenario *s)
{
	open_ring(IORING_SETUP_SQPOLL);
	serve(s, 0);
}

static void uring_call(const struct scenario *s)
{
	char data[MESSAGE] = "";
	int i, k, fd;

	open_ring(0);
	for (i = 0; i < s->n; i++) {
		fd = tcp_socket_to(s->host, port);
		own("tcp", fd);
		for (k = 0; k < 100; k++) {
			ring_send(fd, data, 0);
			ring_receive(fd, data, 0);
		}
		close(fd);
	}
}

const struct scenario uring_scenarios[] = {
	{ "io_uring", uring_serve, uring_call, SRV4, .n = 10 },
	{ "io_uring_worker", worker_serve, uring_call, SRV4, .n = 5 },
	{ "io_uring_polled", polled_serve, uring_call, SRV4, .n = 5 },
	{ 0 }
};
