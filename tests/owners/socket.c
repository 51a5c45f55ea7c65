// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The sockets that scenarios are made of. */
#include "actor.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE 64

static char bulk[65536];

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

int family_of(const char *host)
{
	return strchr(host, ':') ? AF_INET6 : AF_INET;
}

static socklen_t address(union address *a, const char *host, int to)
{
	memset(a, 0, sizeof(*a));
	a->any.sa_family = family_of(host);
	if (a->any.sa_family == AF_INET) {
		a->in.sin_port = htons(to);
		inet_pton(AF_INET, host, &a->in.sin_addr);
		return sizeof(a->in);
	}
	a->in6.sin6_port = htons(to);
	inet_pton(AF_INET6, host, &a->in6.sin6_addr);
	return sizeof(a->in6);
}

static int port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
	union address a;
	socklen_t n = sizeof(a);

	must(name(fd, &a.any, &n), "ask for a socket's name");
	return ntohs(a.in.sin_port); /* stands at the same place in both families */
}

int local_port(int fd)
{
	return port_of(fd, getsockname);
}

int remote_port(int fd)
{
	return port_of(fd, getpeername);
}

const char *my_comm(void)
{
	static __thread char comm[17];
	char *c;

	prctl(PR_GET_NAME, comm);
	for (c = comm; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-')
			*c = '_';
	return *comm ? comm : "_";
}

/* ---- making them ---- */

static int bound(int family, int type, bool reuseport)
{
	int fd = must(socket(family, type | SOCK_CLOEXEC, 0), "make a socket"), one = 1;
	union address any;
	socklen_t n = address(&any, family == AF_INET ? "0.0.0.0" : "::", port);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (reuseport)
		must(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), "SO_REUSEPORT");
	must(bind(fd, &any.any, n), "bind");
	return fd;
}

int tcp_listen(int family, int backlog)
{
	int fd = bound(family, SOCK_STREAM, backlog < 0);

	must(listen(fd, abs(backlog)), "listen");
	return fd;
}

int udp_bind(int family, bool reuseport)
{
	return bound(family, SOCK_DGRAM, reuseport);
}

int tcp_accept(int listener)
{
	waits_for("a connection");
	return must(accept4(listener, NULL, NULL, 0), "accept");
}

static int socket_to(const char *host, int to, int type)
{
	int fd = must(socket(family_of(host), type | SOCK_CLOEXEC, 0), "make a socket");
	union address a;
	socklen_t n = address(&a, host, to);

	waits_for("being connected");
	must(connect(fd, &a.any, n), "connect");
	return fd;
}

int tcp_socket_to(const char *host, int to)
{
	return socket_to(host, to, SOCK_STREAM);
}

int udp_socket_to(const char *host, int to)
{
	return socket_to(host, to, SOCK_DGRAM);
}

/* ---- claims ---- */

void own_port(const char *proto)
{
	say_line("own %s %s %d * %d %s", side, proto, port, getpid(), my_comm());
}

void own_listener(void)
{
	say_line("listens %s tcp %d * %d", side, port, getpid());
}

void own(const char *proto, int fd)
{
	say_line("own %s %s %d %d %d %s", side, proto, local_port(fd), remote_port(fd), getpid(),
		 my_comm());
}

void own_counted(const char *proto, int fd, long packets)
{
	char count[24] = "rest";

	if (packets >= 0)
		snprintf(count, sizeof(count), "%ld", packets);
	say_line("own %s %s %d %d %d %s %s", side, proto, local_port(fd), remote_port(fd), getpid(),
		 my_comm(), count);
}

/* ---- using them ---- */

void send_all(int fd, size_t n)
{
	waits_for("room to send");
	while (n)
		n -= must(send(fd, bulk, n < sizeof(bulk) ? n : sizeof(bulk), 0), "send");
}

void receive_all(int fd, size_t n)
{
	waits_for("what should be received");
	while (n) {
		int got = must(recv(fd, bulk, n < sizeof(bulk) ? n : sizeof(bulk), 0), "receive");

		if (!got) {
			errno = ECONNRESET;
			die("receive: ended too early");
		}
		n -= got;
	}
}

void drain(int fd)
{
	waits_for("a connection's end");
	while (must(recv(fd, bulk, sizeof(bulk), 0), "receive"))
		;
}

static size_t some(size_t n)
{
	return n < sizeof(bulk) ? n : sizeof(bulk);
}

void duplex(int fd, size_t give, size_t take)
{
	waits_for("the rest of what goes both ways");
	while (give || take) {
		struct pollfd p = { .fd = fd,
				    .events = (give ? POLLOUT : 0) | (take ? POLLIN : 0) };
		ssize_t n;

		must(poll(&p, 1, -1), "poll");
		if (take && (p.revents & (POLLIN | POLLHUP | POLLERR))) {
			n = must(recv(fd, bulk, some(take), MSG_DONTWAIT), "receive");
			take = n ? take - n : 0;
		}
		if (give && (p.revents & POLLOUT)) {
			n = send(fd, bulk, some(give), MSG_DONTWAIT);
			if (n < 0 && errno != EAGAIN)
				die("send");
			give -= n < 0 ? 0 : n;
		}
	}
}

void asks(int fd, int n)
{
	while (n--) {
		send_all(fd, MESSAGE);
		receive_all(fd, MESSAGE);
	}
}

void answers(int fd, int n)
{
	char message[MESSAGE];

	waits_for("a question");
	while (n--) {
		int got = must(recv(fd, message, sizeof(message), MSG_WAITALL), "receive");

		if (!got)
			return;
		must(send(fd, message, sizeof(message), 0), "send");
	}
}

/* An older answer may come late. */
static bool is_answered(int fd, uint32_t number)
{
	uint32_t answer;

	while (recv(fd, &answer, sizeof(answer), 0) >= 0)
		if (answer == number)
			return true;
	if (errno != EAGAIN)
		die("receive an answer");
	return false;
}

int udp_ask(int fd, uint32_t number, size_t size)
{
	struct timeval patience = { .tv_usec = 300000 };
	int sent = 0;

	waits_for("an answer");
	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), "SO_RCVTIMEO");
	memcpy(bulk, &number, sizeof(number));
	do {
		must(send(fd, bulk, size, 0), "ask");
		sent++;
	} while (!is_answered(fd, number));
	return sent;
}

/* ---- an independent count ---- */

static const char rules[] =
	"table inet w%1$d {\n"
	"counter c { }\n"
	"chain in { type filter hook prerouting priority -400;\n"
	"meta l4proto %2$s th dport %1$d counter name c\nmeta l4proto %2$s th sport %1$d counter name c\n}\n"
	"chain out { type filter hook postrouting priority 400;\n"
	"meta l4proto %2$s th dport %1$d counter name c\nmeta l4proto %2$s th sport %1$d counter name c\n}\n"
	"}\n";

void witness__begin(const char *proto)
{
	FILE *nft = popen("nft -f - >/dev/null", "w");

	if (nft)
		fprintf(nft, rules, port, proto);
	if (!nft || pclose(nft))
		skip("nft does not count here");
}

long witness__read(void)
{
	char command[80];
	long packets = -1;
	FILE *nft;

	snprintf(command, sizeof(command), "nft list counter inet w%d c", port);
	nft = popen(command, "r");
	if (nft && fscanf(nft, "%*[^{]{%*[^{]{ packets %ld", &packets) != 1)
		packets = -1;
	if (!nft || pclose(nft) || packets < 0)
		die("read the nftables counter");
	return packets;
}

long witness__rest(void)
{
	long before, now = witness__read();

	waits_for("the counters to rest");
	do {
		before = now;
		usleep(150000);
		now = witness__read();
	} while (now != before);
	return now;
}
