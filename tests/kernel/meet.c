// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * meet [ROUNDS]: two processes on two CPUs use the same sockets at the same moments, and the owner programs say whose they
 * are. Each event must name one of the two, whole: pid, start and name of the same process. A socket that one of them used
 * alone at last is that one's; and each change of hands that is counted apart has a number of its own.
 *
 * Sockets are connected UDP, unconnected UDP and TCP, all new to begin with. In a network namespace of its own. Exit code 1:
 * an event was wrong; 77 where the kernel does not let us run the programs.
 */
#include <errno.h>
#include <netinet/in.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "attrib/owners.h"
#include "xdp/flow.h"

#define SOCKETS 48
#define USES 40        /* of each socket by each of the two, in a round */
#define KINDS 3        /* connected UDP, unconnected UDP, TCP */
#define PORT 9         /* on loopback: a socket that nobody reads */
#define SHOWN 10       /* wrong events */
#define ALONE_US 60000 /* longer than a socket stays blurred without another word */

static const char *const kinds[KINDS] = { "connected UDP", "unconnected UDP", "TCP" };

/* What the two and we share. */
struct shared {
	volatile unsigned arrived; /* at the latest meeting point */
	struct sockaddr_in to;
};

struct meeting {
	int fd;
	uint64_t cookie;
	uint8_t turn;
	bool has_turned;
	struct who last;
	uint8_t last_how;
	bool blurred;
};

static struct shared *shared;
static struct meeting meeting[SOCKETS];
/* The two, and us, who have connected the sockets: as the events of sockets of their own named them. */
#define USERS 3
static struct who user[USERS];
static uint64_t own_cookie[USERS];
static struct owners *owners;
static unsigned wrongs, events, changes, blurs, gaps;

static int must(int result, const char *what)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "meet: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int kind_of(size_t i)
{
	return i % KINDS;
}

static void wrong(const struct meeting *m, const struct owner_event *e, const char *what)
{
	if (wrongs++ < SHOWN)
		printf("WRONG: %s: %s: pid %u start %llu name %.16s, how %u, turn %u\n",
		       kinds[kind_of(m - meeting)], what, e->who.pid,
		       (unsigned long long)e->who.start, e->who.comm, e->how, e->turn);
}

/* ---- what the owner programs say ---- */

static bool is_one_of_us(const struct who *w)
{
	int i;

	for (i = 0; i < USERS; i++)
		if (!memcmp(w, &user[i], sizeof(*w)))
			return true;
	return false;
}

static void check_turn(struct meeting *m, const struct owner_event *e)
{
	uint8_t next = m->turn == TURN_LAST ? 1 : m->turn + 1;

	if (!e->turn)
		return;
	changes++;
	if (m->has_turned && e->turn == m->turn)
		wrong(m, e, "a number that another change has");
	else if (m->has_turned && e->turn != next)
		gaps++;
	m->turn = e->turn;
	m->has_turned = true;
}

static void check(struct meeting *m, const struct owner_event *e)
{
	events++;
	blurs += e->between[0] == BETWEEN_ALL;
	check_turn(m, e);
	if (!who__is_somebody(&e->who))
		return;
	if (!is_one_of_us(&e->who))
		wrong(m, e, "nobody who used it");
	m->last = e->who;
	m->last_how = e->how;
}

static void on_event(void *to, const struct owner_event *e)
{
	size_t i;

	(void)to;
	if (e->kind != OWNER_SOCKET)
		return;
	for (i = 0; i < USERS; i++)
		if (e->cookie == own_cookie[i])
			user[i] = e->who;
	for (i = 0; i < SOCKETS; i++)
		if (meeting[i].cookie && e->cookie == meeting[i].cookie)
			check(&meeting[i], e);
	if (e->turn)
		owners__turned(owners, e);
}

/* ---- sockets ---- */

static uint64_t cookie_of(int fd)
{
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie;

	must(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), "SO_COOKIE");
	return cookie;
}

static int bound(int type)
{
	int fd = must(socket(AF_INET, type | SOCK_CLOEXEC, 0), "make a socket"), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must(bind(fd, (struct sockaddr *)&shared->to, sizeof(shared->to)), "bind");
	return fd;
}

/* Made and connected by us, who do not use it: whoever uses it first has it. */
static int socket_of(int kind)
{
	int fd = must(socket(AF_INET, kind == 2 ? SOCK_STREAM : SOCK_DGRAM, 0), "make a socket");

	if (kind != 1)
		must(connect(fd, (struct sockaddr *)&shared->to, sizeof(shared->to)), "connect");
	return fd;
}

static void use(int kind, int fd)
{
	if (kind == 1)
		sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&shared->to,
		       sizeof(shared->to));
	else
		send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "make a socket");

	must(ioctl(fd, SIOCSIFFLAGS, &r), "set lo up");
	close(fd);
}

/* ---- the two ---- */

static void arrive(unsigned point)
{
	__atomic_fetch_add(&shared->arrived, 1, __ATOMIC_SEQ_CST);
	while (shared->arrived < 2 * point)
		;
}

static void meet(int me)
{
	unsigned point = 0, i, k;

	for (i = 0; i < SOCKETS; i++) {
		arrive(++point);
		for (k = 0; k < USES; k++)
			use(kind_of(i), meeting[i].fd);
	}
	arrive(++point);
	usleep(ALONE_US);
	for (i = 0; me && i < SOCKETS; i++)
		use(kind_of(i), meeting[i].fd);
	_exit(0);
}

static pid_t spawn(int me, int own)
{
	pid_t child = must(fork(), "fork");
	cpu_set_t cpu;

	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, me ? "the-second-one" : "first");
	CPU_ZERO(&cpu);
	CPU_SET(me, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	use(0, own);
	meet(me);
	return 0;
}

static void read_until_gone(const pid_t child[2])
{
	int i, status;

	for (i = 0; i < 2; i++) {
		while (!must(waitpid(child[i], &status, WNOHANG), "wait")) {
			owners__read(owners);
			usleep(200);
		}
		if (status) {
			fprintf(stderr, "meet: one of the two ended with %#x\n", status);
			exit(1);
		}
	}
	owners__read(owners);
}

static void check_last(struct meeting *m)
{
	struct owner_event e = { .who = m->last, .how = m->last_how };

	if (memcmp(&m->last, &user[1], sizeof(m->last)))
		wrong(m, &e, "not the one who used it alone at last");
}

static void one_round(void)
{
	int own[USERS], sink = bound(SOCK_DGRAM), listener = bound(SOCK_STREAM);
	pid_t child[2];
	size_t i;

	must(listen(listener, SOCKETS), "listen");
	memset(meeting, 0, sizeof(meeting));
	shared->arrived = 0;
	for (i = 0; i < USERS; i++)
		own_cookie[i] = cookie_of(own[i] = socket_of(0));
	use(0, own[2]);
	for (i = 0; i < SOCKETS; i++) {
		meeting[i].fd = socket_of(kind_of(i));
		meeting[i].cookie = cookie_of(meeting[i].fd);
	}
	for (i = 0; i < 2; i++)
		child[i] = spawn(i, own[i]);
	read_until_gone(child);
	for (i = 0; i < SOCKETS; i++)
		check_last(&meeting[i]);
	for (i = 0; i < USERS; i++)
		close(own[i]);
	for (i = 0; i < SOCKETS; i++)
		close(meeting[i].fd);
	close(listener);
	close(sink);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 10, i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must(shared == MAP_FAILED ? -1 : 0, "map memory");
	must(unshare(CLONE_NEWNET), "make a network namespace");
	loopback_up();
	shared->to = (struct sockaddr_in){ .sin_family = AF_INET,
					   .sin_port = htons(PORT),
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (owners__open(&owners, 0, on_event, NULL))
		return 77;
	for (i = 0; i < rounds; i++)
		one_round();
	printf("%u events of %d sockets, %u changes counted apart (%u not in order), %u blurred, %llu lost, %u wrong\n",
	       events, rounds * SOCKETS, changes, gaps, blurs,
	       (unsigned long long)owners__lost(owners), wrongs);
	owners__close(owners);
	return wrongs > 0;
}
