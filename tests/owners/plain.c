// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One process a socket: TCP and UDP in all directions and sizes. */
#include "actor.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MB (1u << 20)
#define PARALLEL 48

/* The family a server listens with: dual stack for what the client calls by a mapped address. */
static int listens(const struct scenario *s)
{
	return family_of(s->host);
}

static void tcp_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 128), i, fd;

	own_port("tcp");
	ready();
	for (i = 0; i < s->n; i++) {
		fd = tcp_accept(listener);
		duplex(fd, s->down, s->up);
		close(fd);
	}
}

static void tcp_call(const struct scenario *s)
{
	int i, fd;

	for (i = 0; i < s->n; i++) {
		fd = tcp_socket_to(s->host, port);
		own("tcp", fd);
		duplex(fd, s->up, s->down);
		if (i == 0 && s->up + s->down >= MB)
			say_line("payload %s tcp %d %d %zu", side, local_port(fd), port,
				 s->up + s->down);
		drain(fd);
		close(fd);
	}
}

/* They may be accepted in another order than they connected in: nobody waits before all is sent. */
static void all_at_once(const int fd[PARALLEL], size_t give, size_t take)
{
	int i;

	for (i = 0; i < PARALLEL; i++)
		send_all(fd[i], give);
	for (i = 0; i < PARALLEL; i++)
		receive_all(fd[i], take);
}

static void burst_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 128), i, fd[PARALLEL];

	own_port("tcp");
	ready();
	for (i = 0; i < PARALLEL; i++)
		fd[i] = tcp_accept(listener);
	all_at_once(fd, s->down, s->up);
}

static void burst_call(const struct scenario *s)
{
	int fd[PARALLEL], i;

	for (i = 0; i < PARALLEL; i++) {
		fd[i] = tcp_socket_to(s->host, port);
		own("tcp", fd[i]);
	}
	all_at_once(fd, s->up, s->down);
}

/* A byte now and then, both ways. */
static void drip_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8), fd, i;

	own_port("tcp");
	ready();
	fd = tcp_accept(listener);
	for (i = 0; i < s->n; i++) {
		send_all(fd, 1);
		usleep(150000);
	}
	shutdown(fd, SHUT_WR);
	drain(fd);
}

static void drip_call(const struct scenario *s)
{
	int fd, i;

	fd = tcp_socket_to(s->host, port);
	own("tcp", fd);
	for (i = 0; i < s->n; i++) {
		send_all(fd, 1);
		usleep(170000);
	}
	drain(fd);
}

/* UDP: answers where the scenario has answers, until it is told to end. */
static void udp_serve(const struct scenario *s)
{
	int fd = udp_bind(listens(s), false);
	struct sockaddr_in6 from;
	char data[65536];
	socklen_t size;
	int n;

	own_port("udp");
	ready();
	waits_for("datagrams");
	while (size = sizeof(from),
	       (n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &size)) >= 0)
		if (s->down)
			must(sendto(fd, data, s->down, 0, (struct sockaddr *)&from, size),
			     "answer");
}

static void udp_call(const struct scenario *s)
{
	int fd = udp_socket_to(s->host, port), i, sent = 0;
	char data[65536] = "";

	own("udp", fd);
	for (i = 0; i < s->n; i++)
		if (s->down)
			sent += udp_ask(fd, i, s->up);
		else
			sent += !!must(send(fd, data, s->up, 0), "send");
	say_line("sent %s udp %d %d %d", side, local_port(fd), port, sent);
}

/* Accepts, and does nothing more. */
static void mute_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8);

	own_port("tcp");
	ready();
	tcp_accept(listener);
	gate__wait();
}

static void mute_call(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port);

	own("tcp", fd);
	if (s->up)
		send_all(fd, s->up);
	usleep(300000);
	gate__open();
	if (!s->up)
		return;
	usleep(300000);
}

/* The client is gone before the server begins to read: the kernel sends what is left, and waits in TIME_WAIT. */
static void tail_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8), fd, small = 4096;

	must(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), "SO_RCVBUF");
	own_port("tcp");
	ready();
	fd = tcp_accept(listener);
	gate__wait();
	usleep(1500000);
	drain(fd);
	gate__open();
}

static void leave_it(size_t n)
{
	int fd = tcp_socket_to(SRV4, port), large = 1 << 20;
	char *data = calloc(1, n);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
	own("tcp", fd);
	must(data ? send(fd, data, n, MSG_DONTWAIT) : -1, "send");
	_exit(0);
}

static void tail_call(const struct scenario *s)
{
	pid_t child = spawn();

	if (!child)
		leave_it(s->up);
	reap(child);
	gate__open();
	gate__wait();
}

/* Each connection by a process of its own, gone at once. */
static void short_call(const struct scenario *s)
{
	int i, fd;

	for (i = 0; i < s->n; i++) {
		pid_t child = spawn();

		if (!child) {
			fd = tcp_socket_to(s->host, port);
			own("tcp", fd);
			duplex(fd, s->up, s->down);
			_exit(0);
		}
		reap(child);
	}
}

static void short_udp_call(const struct scenario *s)
{
	int i;

	for (i = 0; i < s->n; i++) {
		pid_t child = spawn();

		if (!child) {
			struct scenario one = *s;

			one.n = 1;
			udp_call(&one);
			_exit(0);
		}
		reap(child);
	}
}

/* A process elsewhere, with a socket made in here: as a container's proxy does it. */
static void elsewhere_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8), i, fd;

	enter(ns_of("cli"));
	own_port("tcp");
	ready();
	for (i = 0; i < s->n; i++) {
		fd = tcp_accept(listener);
		duplex(fd, s->down, s->up);
		close(fd);
	}
}

/* Older than the tool: connected, and asked once; the rest comes when it watches. */
static void older_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8), fd;

	own_port("tcp");
	ready();
	fd = tcp_accept(listener);
	answers(fd, -1);
}

static void older_call(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port);

	own("tcp", fd);
	asks(fd, 1);
	wait_for_tool();
	asks(fd, s->n);
}

static void older_idle_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8);

	own_port("tcp");
	ready();
	tcp_accept(listener);
	gate__wait();
}

static void older_idle_call(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port), i;

	own("tcp", fd);
	wait_for_tool();
	for (i = 0; i < s->n; i++)
		send_all(fd, 10);
	usleep(200000);
	gate__open();
}

/* Held by two processes, and nobody has used it: whose it is, nobody can know. */
static void older_shared_serve(const struct scenario *s)
{
	int listener = tcp_listen(listens(s), 8);

	ready();
	tcp_accept(listener);
	if (!spawn())
		while (1)
			pause();
	say_line("noone %s tcp %d * 0", side, port);
	gate__wait();
}

static void older_udp_call(const struct scenario *s)
{
	struct scenario rest = *s;

	wait_for_tool();
	udp_call(&rest);
}

static void older_udp_serve(const struct scenario *s)
{
	int fd = udp_bind(listens(s), false);

	own_port("udp");
	ready();
	(void)fd;
	gate__wait();
}

static void older_deaf_call(const struct scenario *s)
{
	older_udp_call(s);
	gate__open();
}

const struct scenario plain_scenarios[] = {
	{ "tcp_down", tcp_serve, tcp_call, SRV4, .down = 40 * MB, .n = 1 },
	{ "tcp_up", tcp_serve, tcp_call, SRV4, .up = 40 * MB, .n = 1 },
	{ "tcp_both", tcp_serve, tcp_call, SRV4, .up = 20 * MB, .down = 20 * MB, .n = 1 },
	{ "tcp_ipv6", tcp_serve, tcp_call, SRV6, .up = 10 * MB, .down = 10 * MB, .n = 1 },
	{ "tcp_mapped", tcp_serve, tcp_call, SRV_MAPPED, .up = 5 * MB, .down = 5 * MB, .n = 1 },
	{ "tcp_loopback", tcp_serve, tcp_call, LOOPBACK4, .up = 5 * MB, .down = 5 * MB, .n = 1,
	  .near = true },
	{ "tcp_elsewhere", elsewhere_serve, tcp_call, SRV4, .up = MB, .down = MB, .n = 2 },
	{ "udp_bulk", udp_serve, udp_call, SRV4, .up = 1400, .n = 20000 },
	{ "udp_ipv6", udp_serve, udp_call, SRV6, .up = 1200, .down = 1200, .n = 2000 },
	{ "udp_mapped", udp_serve, udp_call, SRV_MAPPED, .up = 500, .down = 500, .n = 1000 },
	{ "udp_flood", udp_serve, udp_call, SRV4, .up = 16, .n = 50000 },
	{ "udp_loopback", udp_serve, udp_call, LOOPBACK4, .up = 100, .down = 100, .n = 1000,
	  .near = true },
	{ "udp_443", udp_serve, udp_call, SRV4, .up = 1200, .down = 1200, .n = 2000 },
	{ "udp_fragments", udp_serve, udp_call, SRV4, .up = 4000, .down = 4000, .n = 300 },
	{ "udp_fragments_ipv6", udp_serve, udp_call, SRV6, .up = 4000, .down = 4000, .n = 300 },
	{ "many_small", tcp_serve, tcp_call, SRV4, .up = 100, .down = 100, .n = 400 },
	{ "burst", burst_serve, burst_call, SRV4, .up = 3000, .down = 3000 },
	{ "slow_drip", drip_serve, drip_call, SRV4, .n = 20 },
	{ "short_tcp", tcp_serve, short_call, SRV4, .up = 100, .down = 100, .n = 200 },
	{ "short_udp", udp_serve, short_udp_call, SRV4, .up = 100, .down = 100, .n = 200 },
	{ "server_never_reads", mute_serve, mute_call, SRV4, .up = 100000 },
	{ "client_never_sends", mute_serve, mute_call, SRV4, .n = 1 },
	{ "after_exit", tail_serve, tail_call, SRV4, .up = 200000 },
	{ "older_tcp", older_serve, older_call, SRV4, .n = 500, .older = true },
	{ "older_tcp_ipv6", older_serve, older_call, SRV6, .n = 500, .older = true },
	{ "older_never_reads", older_idle_serve, older_idle_call, SRV4, .n = 50, .older = true },
	{ "older_shared", older_shared_serve, older_idle_call, SRV4, .n = 50, .older = true },
	{ "older_udp", udp_serve, older_udp_call, SRV4, .up = 100, .down = 100, .n = 500,
	  .older = true },
	{ "older_udp_never_reads", older_udp_serve, older_deaf_call, SRV4, .up = 100, .n = 500,
	  .older = true },
	{ 0 }
};
