// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Other ways to send and receive than send() and recv(). */
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define MB (1u << 20)
#define BATCH 32

static int accept_one(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 8);

	own_port("tcp");
	ready();
	return tcp_accept(listener);
}

static void take_all(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port);

	(void)s;
	own("tcp", fd);
	say_line("payload %s tcp %d %d %zu", side, local_port(fd), port, s->down);
	drain(fd);
}

static void sendfile_serve(const struct scenario *s)
{
	int fd = accept_one(s), file = must(memfd_create("file", 0), "memfd_create");
	size_t left = s->down;

	must(ftruncate(file, s->down), "ftruncate");
	while (left)
		left -= must(sendfile(fd, file, NULL, left), "sendfile");
}

/* From a pipe into the socket; and out of it into a pipe at the other end. */
static void splice_serve(const struct scenario *s)
{
	int fd = accept_one(s), pipes[2];
	char data[4096] = "";
	size_t left = s->down;

	must(pipe(pipes), "pipe");
	while (left) {
		int n = must(write(pipes[1], data, sizeof(data)), "fill the pipe");

		left -= n;
		while (n)
			n -= must(splice(pipes[0], NULL, fd, NULL, n, 0), "splice");
	}
}

static void splice_call(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port), pipes[2], null = open("/dev/null", O_WRONLY), n;

	own("tcp", fd);
	must(pipe(pipes), "pipe");
	while ((n = must(splice(fd, NULL, pipes[1], NULL, 65536, 0), "splice")))
		while (n)
			n -= must(splice(pipes[0], NULL, null, NULL, n, 0), "empty the pipe");
}

static void reap_zerocopy(int fd)
{
	char room[256];
	struct msghdr m = { .msg_control = room, .msg_controllen = sizeof(room) };

	while (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		m.msg_controllen = sizeof(room);
}

static void zerocopy_serve(const struct scenario *s)
{
	int fd = accept_one(s), one = 1;
	char *data = calloc(1, 65536);
	size_t left = s->down;

	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)))
		skip("no SO_ZEROCOPY");
	while (left) {
		ssize_t n = send(fd, data, left < 65536 ? left : 65536, MSG_ZEROCOPY);

		if (n < 0 && errno != ENOBUFS)
			die("send without a copy");
		left -= n < 0 ? 0 : n;
		reap_zerocopy(fd);
	}
	free(data);
}

static void batch_prepare(struct mmsghdr m[BATCH], struct iovec v[BATCH], char data[BATCH][1024],
			  size_t size)
{
	int i;

	for (i = 0; i < BATCH; i++) {
		v[i] = (struct iovec){ data[i], size };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &v[i], .msg_iovlen = 1 } };
	}
}

static void recvmmsg_serve(const struct scenario *s)
{
	static char data[BATCH][1024];
	int fd = udp_bind(family_of(s->host), false);
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];

	own_port("udp");
	ready();
	batch_prepare(m, v, data, sizeof(*data));
	while (1)
		must(recvmmsg(fd, m, BATCH, MSG_WAITFORONE, NULL), "recvmmsg");
}

static void sendmmsg_call(const struct scenario *s)
{
	static char data[BATCH][1024];
	int fd = udp_socket_to(s->host, port), sent = 0;
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];

	own("udp", fd);
	batch_prepare(m, v, data, s->up);
	while (sent < s->n)
		sent += must(sendmmsg(fd, m, BATCH, 0), "sendmmsg");
	say_line("sent %s udp %d %d %d", side, local_port(fd), port, sent);
}

/* One call, many datagrams: the kernel cuts them. */
static void udp_segment_call(const struct scenario *s)
{
	int fd = udp_socket_to(s->host, port), size = s->up, i;
	static char data[40 * 1000];

	if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)))
		skip("no UDP_SEGMENT");
	own("udp", fd);
	for (i = 0; i < s->n; i++)
		must(send(fd, data, s->up * 40, 0), "send segments");
	say_line("sent %s udp %d %d %d", side, local_port(fd), port, s->n * 40);
}

const struct scenario calls_scenarios[] = {
	{ "sendfile", sendfile_serve, take_all, SRV4, .down = 10 * MB },
	{ "splice", splice_serve, splice_call, SRV4, .down = 4 * MB },
	{ "zerocopy", zerocopy_serve, take_all, SRV4, .down = 10 * MB },
	{ "sendmmsg", recvmmsg_serve, sendmmsg_call, SRV4, .up = 500, .n = 6400 },
	{ "udp_segment", recvmmsg_serve, udp_segment_call, SRV4, .up = 1000, .n = 100 },
	{ 0 }
};
