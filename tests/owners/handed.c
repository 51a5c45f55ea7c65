// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sockets that more than one process has in its life: forked, inherited, passed on, taken. */
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 4

/* ---- before anybody used the connection: all of it is the one's who serves it ---- */

static void call(const struct scenario *s)
{
	int i, fd;

	for (i = 0; i < s->n; i++) {
		fd = tcp_socket_to(s->host, port);
		own("tcp", fd);
		asks(fd, 20);
		shutdown(fd, SHUT_WR);
		drain(fd);
		close(fd);
	}
}

static void serve_one(int fd)
{
	own("tcp", fd);
	answers(fd, -1);
	_exit(0);
}

/* A process for each connection, made after accept(). */
static void fork_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), i;

	own_listener();
	ready();
	for (i = 0; i < s->n; i++) {
		int fd = tcp_accept(listener);
		pid_t child = spawn();

		if (!child)
			serve_one(fd);
		close(fd);
		reap(child);
	}
}

static void worker(int listener)
{
	while (1) {
		int fd = tcp_accept(listener);

		own("tcp", fd);
		answers(fd, -1);
		close(fd);
	}
}

/* Workers made before, which accept by themselves. */
static void prefork_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), i;

	own_listener();
	for (i = 0; i < WORKERS; i++)
		if (!spawn())
			worker(listener);
	close(listener);
	ready();
	pause();
}

static void reuseport_serve(const struct scenario *s)
{
	int pipes[2], i;
	char byte;

	must(pipe(pipes), "pipe");
	for (i = 0; i < WORKERS; i++)
		if (!spawn()) {
			int listener = tcp_listen(family_of(s->host), -64);

			own_listener();
			must(write(pipes[1], "l", 1), "tell the parent");
			worker(listener);
		}
	for (i = 0; i < WORKERS; i++)
		must(read(pipes[0], &byte, 1), "hear of a worker");
	ready();
	pause();
}

/* The connected one that accepts a datagram's sender says so: another port, another worker. */
static void udp_worker(int fd)
{
	struct sockaddr_in from;
	uint32_t data[512];
	socklen_t size;
	int n;

	waits_for("datagrams");
	while (size = sizeof(from),
	       (n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &size)) >= 0) {
		if (!*data)
			say_line("own %s udp %d %d %d %s", side, port, ntohs(from.sin_port),
				 getpid(), my_comm());
		must(sendto(fd, data, n, 0, (struct sockaddr *)&from, size), "answer");
	}
}

static void reuseport_udp_serve(const struct scenario *s)
{
	int pipes[2], i;
	char byte;

	(void)s;
	must(pipe(pipes), "pipe");
	for (i = 0; i < WORKERS; i++)
		if (!spawn()) {
			int fd = udp_bind(AF_INET, true);

			must(write(pipes[1], "b", 1), "tell the parent");
			udp_worker(fd);
		}
	for (i = 0; i < WORKERS; i++)
		must(read(pipes[0], &byte, 1), "hear of a worker");
	ready();
	pause();
}

static void udp_call(const struct scenario *s)
{
	int i, k;

	for (i = 0; i < s->n; i++) {
		int fd = udp_socket_to(s->host, port);

		own("udp", fd);
		for (k = 0; k < 20; k++)
			udp_ask(fd, k, 100);
		close(fd);
	}
}

/* The parent listens; a program that is started for it serves descriptor 3. */
static void activation_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64);
	char text[16];
	pid_t child;

	snprintf(text, sizeof(text), "%d", port);
	own_listener();
	child = spawn();
	if (!child) {
		own_port("tcp");
		ready();
		must(listener == 3 ? fcntl(3, F_SETFD, 0) : dup2(listener, 3), "descriptor 3");
		execl("/proc/self/exe", "activated", "--serve-3", text, NULL);
		die("exec");
	}
	reap(child);
}

static void dup_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), fd, again;

	own_port("tcp");
	ready();
	fd = tcp_accept(listener);
	answers(fd, 10);
	again = dup(fd);
	close(fd);
	answers(again, -1);
}

static void *answer_all(void *fd)
{
	answers((int)(long)fd, -1);
	return NULL;
}

static void threads_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), i;
	pthread_t thread;

	own_port("tcp");
	ready();
	for (i = 0; i < s->n; i++) {
		int fd = tcp_accept(listener);

		prctl(PR_SET_NAME, "the-leader");
		must(-pthread_create(&thread, NULL, answer_all, (void *)(long)fd), "make a thread");
		pthread_join(thread, NULL);
		close(fd);
	}
}

static void exec_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), fd;
	char text[2][16];

	own_port("tcp");
	ready();
	fd = tcp_accept(listener);
	answers(fd, 10);
	snprintf(text[0], sizeof(*text), "%d", port);
	snprintf(text[1], sizeof(*text), "%d", fd);
	execl("/proc/self/exe", "exec-served", "--go-on", text[0], text[1], NULL);
	die("exec");
}

/* ---- handed over in use: so many packets are the first one's, the rest the second one's ---- */

static void asks_twice(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port);

	own("tcp", fd);
	asks(fd, s->n);
	gate__wait(); /* handed over */
	asks(fd, s->n);
	shutdown(fd, SHUT_WR);
	drain(fd);
}

static void pass(int channel, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec byte = { "f", 1 };
	struct msghdr m = { .msg_iov = &byte,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	must(sendmsg(channel, &m, 0), "pass a descriptor");
}

static int take(int channel)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char data;
	struct iovec byte = { &data, 1 };
	struct msghdr m = { .msg_iov = &byte,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int fd;

	must(recvmsg(channel, &m, 0), "take a descriptor");
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* The second owner: whatever was counted so far was the first one's. */
static void go_on(int fd)
{
	own_counted("tcp", fd, -1);
	gate__open();
	answers(fd, -1);
	_exit(0);
}

/* What we sent has arrived, so nobody sends it again. */
static void settle(int fd)
{
	struct tcp_info info;
	socklen_t n;

	waits_for("acknowledgements");
	while (n = sizeof(info),
	       !must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), "TCP_INFO") &&
		       info.tcpi_unacked)
		usleep(10000);
}

static int begin(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), fd;

	witness__begin("tcp");
	ready();
	fd = tcp_accept(listener);
	answers(fd, s->n);
	settle(fd);
	own_counted("tcp", fd, witness__rest());
	return fd;
}

static void scm_serve(const struct scenario *s)
{
	int channel[2], fd;
	pid_t other;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
	other = spawn();
	if (!other)
		go_on(take(channel[1]));
	fd = begin(s);
	pass(channel[0], fd);
	close(fd);
	reap(other);
}

/* Handed over when the go file is there: the second one answers until he is told to end. */
static void later_serve(const struct scenario *s)
{
	int fd = begin(s);
	pid_t child = spawn();

	if (!child) {
		wait_for_tool();
		go_on(fd);
	}
	close(fd);
	reap(child);
}

/* Asks and asks, slowly, after the first one's part. */
static void later_call(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port), i;

	own("tcp", fd);
	asks(fd, s->n);
	gate__wait();
	for (i = 0; i < 300; i++) {
		asks(fd, 1);
		usleep(20000);
	}
	shutdown(fd, SHUT_WR);
	drain(fd);
}

static void fork_over_serve(const struct scenario *s)
{
	int fd = begin(s);
	pid_t child = spawn();

	if (!child)
		go_on(fd);
	close(fd);
	reap(child);
}

static void pidfd_serve(const struct scenario *s)
{
	int fd, taken, parent = must(syscall(SYS_pidfd_open, getpid(), 0), "pidfd_open");
	int channel[2];
	pid_t other;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
	other = spawn();
	if (!other) {
		must(read(channel[1], &fd, sizeof(fd)), "hear of the descriptor");
		taken = syscall(SYS_pidfd_getfd, parent, fd, 0);
		if (taken < 0)
			skip("pidfd_getfd is refused");
		must(write(channel[1], "d", 1), "say that it is taken");
		go_on(taken);
	}
	fd = begin(s);
	must(write(channel[0], &fd, sizeof(fd)), "name the descriptor");
	must(read(channel[0], &taken, 1), "hear that it is taken");
	close(fd);
	reap(other);
}

/* Passed on before it was used: all of it is the second one's. */
static void scm_now_serve(const struct scenario *s)
{
	int channel[2], listener, i;
	pid_t other;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
	other = spawn();
	if (!other)
		for (i = 0; i < s->n; i++) {
			int fd = take(channel[1]);

			own("tcp", fd);
			answers(fd, -1);
			close(fd);
			if (i == s->n - 1)
				_exit(0);
		}
	listener = tcp_listen(family_of(s->host), 64);
	own_listener();
	ready();
	for (i = 0; i < s->n; i++) {
		int fd = tcp_accept(listener);

		pass(channel[0], fd);
		close(fd);
	}
	reap(other);
}

/* The calling end changes hands too; nothing but UDP, and without a pause. */
static void udp_scm_call(const struct scenario *s)
{
	char data[100] = "";
	int channel[2], fd, i;
	pid_t other;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
	other = spawn();
	if (!other) {
		fd = take(channel[1]);
		own_counted("udp", fd, -1);
		for (i = 0; i < s->n; i++)
			must(send(fd, data, sizeof(data), 0), "send");
		_exit(0);
	}
	fd = udp_socket_to(s->host, port);
	for (i = 0; i < s->n; i++)
		must(send(fd, data, sizeof(data), 0), "send");
	own_counted("udp", fd, s->n);
	pass(channel[0], fd);
	say_line("sent %s udp %d %d %d", side, local_port(fd), port, 2 * s->n);
	close(fd);
	reap(other);
}

static void udp_sink(const struct scenario *s)
{
	int fd = udp_bind(family_of(s->host), false);
	char data[2048];

	own_port("udp");
	ready();
	while (recv(fd, data, sizeof(data), 0) >= 0)
		;
}

/* ---- used by several at a time: nobody's, or right ---- */

static void own_share(const char *proto, int packets)
{
	say_line("share %s %s %d * %d %d", side, proto, port, getpid(), packets);
}

/* Until that number was answered. The share is said first: who has his answer may be the end of us. */
static void udp_answers(int fd, uint32_t last)
{
	struct sockaddr_in from;
	uint32_t data[512];

	waits_for("a datagram");
	do {
		socklen_t size = sizeof(from);
		int got = must(recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &size),
			       "receive");

		own_share("udp", 2);
		must(sendto(fd, data, got, 0, (struct sockaddr *)&from, size), "answer");
	} while (*data != last);
}

/* Unconnected: nothing but the local port is known of it, so a harvest with both owners in it is nobody's. */
static void udp_passed_serve(const struct scenario *s)
{
	int channel[2], fd;
	pid_t other;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
	other = spawn();
	if (!other) {
		fd = take(channel[1]);
		gate__open();
		udp_answers(fd, UINT32_MAX);
	}
	fd = udp_bind(family_of(s->host), false);
	ready();
	udp_answers(fd, s->n - 1);
	pass(channel[0], fd);
	close(fd);
	reap(other);
}

static void udp_asks_twice(const struct scenario *s)
{
	int fd = udp_socket_to(s->host, port), i;

	own("udp", fd);
	for (i = 0; i < 2 * s->n; i++) {
		if (i == s->n)
			gate__wait();
		udp_ask(fd, i, 64);
	}
}

static int segments(int fd)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), "TCP_INFO");
	return info.tcpi_segs_out + info.tcpi_segs_in;
}

/* A stream that goes on without a pause: the first one's is at most what there was when the second one began. */
static void stream_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 8), channel[2], fd, first = getpid();
	pid_t other;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
	other = spawn();
	if (!other) {
		fd = take(channel[1]);
		say_line("share %s tcp %d * %d %d", side, port, first, segments(fd));
		duplex(fd, s->down, s->up);
		_exit(0);
	}
	ready();
	fd = tcp_accept(listener);
	duplex(fd, s->down, s->up);
	say_line("share %s tcp %d * %d %d", side, port, other, -segments(fd));
	pass(channel[0], fd);
	close(fd);
	reap(other);
}

static void stream_call(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port);

	own("tcp", fd);
	duplex(fd, 2 * s->up, 2 * s->down);
	drain(fd);
}

/* Each datagram to whom is awake first: all of them use one socket all the time. */
static void udp_shared_serve(const struct scenario *s)
{
	int fd = udp_bind(family_of(s->host), false), i;

	for (i = 0; i < WORKERS; i++)
		if (!spawn())
			udp_answers(fd, UINT32_MAX);
	ready();
	pause();
}

static void udp_asks(const struct scenario *s)
{
	int fd = udp_socket_to(s->host, port), i;

	own("udp", fd);
	for (i = 0; i < s->n; i++)
		udp_ask(fd, i, 64);
}

/* One connection, which two processes answer by turns. */
static void tcp_shared_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 8), fd, turn[2][2], i, me;
	char byte;

	ready();
	fd = tcp_accept(listener);
	must(pipe(turn[0]) + pipe(turn[1]), "pipe");
	me = !spawn();
	own_share("tcp", 2 * s->n);
	for (i = 0; i < s->n; i++) {
		if (me || i)
			must(read(turn[me][0], &byte, 1), "wait for a turn");
		answers(fd, 1);
		must(write(turn[!me][1], "t", 1), "hand on");
	}
	if (me)
		_exit(0);
	while (wait(NULL) > 0)
		;
}

static void asks_all(const struct scenario *s)
{
	int fd = tcp_socket_to(s->host, port);

	own("tcp", fd);
	asks(fd, 2 * s->n);
	usleep(100000);
}

/* ---- one number, two processes ---- */

static pid_t spawn_as(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = pid ? (uintptr_t)&pid : 0,
				   .set_tid_size = pid ? 1 : 0 };

	return syscall(SYS_clone3, &args, sizeof(args));
}

static pid_t next_life(pid_t pid, int number)
{
	pid_t child = spawn_as(pid);
	char comm[16];

	if (child < 0 && errno == EEXIST) /* somebody else was quicker */
		skip("the pid was taken again at once");
	if (child < 0)
		skip("this kernel lets nobody choose a pid");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(comm, sizeof(comm), "life-%d", number);
		prctl(PR_SET_NAME, comm);
	}
	return child;
}

static void reused_call(const struct scenario *s)
{
	pid_t pid = 0;
	int i;

	for (i = 0; i < s->n; i++) {
		pid_t child = next_life(pid, i + 1);

		if (!child) {
			int fd = tcp_socket_to(s->host, port);

			own("tcp", fd);
			asks(fd, 20);
			shutdown(fd, SHUT_WR);
			drain(fd);
			_exit(0);
		}
		pid = child;
		reap(child);
	}
}

/* They even use the same socket, one after the other: their parent keeps it for them. */
static void reused_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), fd;
	pid_t pid;

	witness__begin("tcp");
	ready();
	fd = tcp_accept(listener);
	pid = next_life(0, 1);
	if (!pid) {
		answers(fd, s->n);
		settle(fd);
		own_counted("tcp", fd, witness__rest());
		_exit(0);
	}
	reap(pid);
	pid = next_life(pid, 2);
	if (!pid)
		go_on(fd);
	reap(pid);
}

static void answer_serve(const struct scenario *s)
{
	int listener = tcp_listen(family_of(s->host), 64), i;

	own_port("tcp");
	ready();
	for (i = 0; i < s->n; i++) {
		int fd = tcp_accept(listener);

		answers(fd, -1);
		close(fd);
	}
}

const struct scenario handed_scenarios[] = {
	{ "accept_then_fork", fork_serve, call, SRV4, .n = 40 },
	{ "prefork_workers", prefork_serve, call, SRV4, .n = 40 },
	{ "reuseport_tcp", reuseport_serve, call, SRV4, .n = 40 },
	{ "reuseport_udp", reuseport_udp_serve, udp_call, SRV4, .n = 40 },
	{ "socket_activation", activation_serve, call, SRV4, .n = 1 },
	{ "dup", dup_serve, call, SRV4, .n = 1 },
	{ "threads", threads_serve, call, SRV4, .n = 10 },
	{ "exec", exec_serve, call, SRV4, .n = 1 },
	{ "passed_before_use", scm_now_serve, call, SRV4, .n = 20 },
	{ "passed_in_use", scm_serve, asks_twice, SRV4, .n = 1500 },
	{ "forked_in_use", fork_over_serve, asks_twice, SRV4, .n = 1500 },
	{ "pidfd_in_use", pidfd_serve, asks_twice, SRV4, .n = 1500 },
	{ "passed_later", later_serve, later_call, SRV4, .n = 4000 },
	{ "udp_passed_in_use", udp_sink, udp_scm_call, SRV4, .n = 3000 },
	{ "udp_server_passed", udp_passed_serve, udp_asks_twice, SRV4, .n = 1500 },
	{ "stream_passed_down", stream_serve, stream_call, SRV4, .down = 20000000, .n = 1 },
	{ "stream_passed_up", stream_serve, stream_call, SRV4, .up = 20000000, .n = 1 },
	{ "udp_shared", udp_shared_serve, udp_asks, SRV4, .n = 1500 },
	{ "tcp_shared", tcp_shared_serve, asks_all, SRV4, .n = 700 },
	{ "pid_reuse", answer_serve, reused_call, SRV4, .n = 3 },
	{ "pid_reuse_in_use", reused_serve, asks_twice, SRV4, .n = 1500 },
	{ 0 }
};
