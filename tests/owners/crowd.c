// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Very many sockets that are there before the tool is: of many processes, TCP and UDP, at both ends. */
#include "actor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 8 /* at each end: 4 with TCP, 4 with UDP sockets */
#define BURST 50    /* a veth drops what comes faster than it is taken */

/* Each of the 8 has its own ports: TCP ones listen at one, UDP ones stand at as many as they have sockets. */
static int port_of(int process, int each)
{
	return port + process * (process < PROCESSES / 2 ? 1 : each);
}

static int many(size_t n)
{
	struct rlimit most;

	must(getrlimit(RLIMIT_NOFILE, &most), "ask for the number of files");
	most.rlim_cur = most.rlim_max;
	if (n + 64 > most.rlim_max)
		skip("too few open files are allowed");
	return must(setrlimit(RLIMIT_NOFILE, &most), "allow more open files");
}

static void tell(int to)
{
	must(write(to, "r", 1), "tell the parent");
}

static void hear(int from)
{
	char byte;

	waits_for("the children");
	must(read(from, &byte, 1) - 1, "hear of a child");
}

/* Holds what it has, and does nothing with it. */
static void hold_tcp(const struct scenario *s, int done)
{
	int listener = tcp_listen(family_of(s->host), 1024), i;

	own_port("tcp");
	tell(done);
	for (i = 0; i < s->n; i++)
		tcp_accept(listener);
	tell(done);
	pause();
}

static void hold_udp(const struct scenario *s, int done)
{
	int i;

	for (i = 0; i < s->n; i++, port++) {
		udp_bind(family_of(s->host), false);
		own_port("udp");
	}
	tell(done);
	tell(done);
	pause();
}

static void serve(const struct scenario *s)
{
	int done[2], i;

	many(s->n);
	must(pipe(done), "pipe");
	for (i = 0; i < PROCESSES; i++)
		if (!spawn()) {
			port = port_of(i, s->n);
			(i < PROCESSES / 2 ? hold_tcp : hold_udp)(s, done[1]);
		}
	for (i = 0; i < PROCESSES; i++)
		hear(done[0]);
	ready();
	for (i = 0; i < PROCESSES; i++)
		hear(done[0]);
	gate__open();
	pause();
}

static int connected(const struct scenario *s, bool tcp, int to)
{
	int fd = tcp ? tcp_socket_to(s->host, to) : udp_socket_to(s->host, to);

	own(tcp ? "tcp" : "udp", fd);
	return fd;
}

/* One packet each, when it is told to. */
static void call_all(const struct scenario *s, bool tcp, int done)
{
	int *fd = calloc(s->n, sizeof(*fd)), i;

	for (i = 0; fd && i < s->n; i++)
		fd[i] = connected(s, tcp, tcp ? port : port + i);
	tell(done);
	wait_for_tool();
	for (i = 0; fd && i < s->n; i++) {
		send_all(fd[i], 10);
		if (i % BURST == 0)
			usleep(5000);
	}
	free(fd);
	_exit(0);
}

static void call(const struct scenario *s)
{
	pid_t child[PROCESSES];
	int done[2], i;

	many(s->n);
	must(pipe(done), "pipe");
	for (i = 0; i < PROCESSES; i++) {
		child[i] = spawn();
		if (child[i])
			continue;
		port = port_of(i, s->n);
		call_all(s, i < PROCESSES / 2, done[1]);
	}
	for (i = 0; i < PROCESSES; i++)
		hear(done[0]);
	gate__wait();
	say_line("stand"); /* all of them */
	for (i = 0; i < PROCESSES; i++)
		reap(child[i]);
}

struct scenario crowd_scenario(int sockets)
{
	return (struct scenario){ .name = "crowd",
				  .server = serve,
				  .client = call,
				  .host = SRV4,
				  .n = sockets / (2 * PROCESSES) };
}
