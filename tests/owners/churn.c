// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Many short lives: each connection by a process of its own, which asks once and is gone within milliseconds. */
#include "actor.h"

#include <poll.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTENERS 2

static void serve(const struct scenario *s)
{
	struct pollfd p[LISTENERS];
	int i, first = port;

	(void)s;
	for (i = 0; i < LISTENERS; i++, port++) {
		p[i] = (struct pollfd){ .fd = tcp_listen(AF_INET, 1024), .events = POLLIN };
		own_port("tcp");
	}
	port = first;
	ready();
	while (must(poll(p, LISTENERS, -1), "poll"))
		for (i = 0; i < LISTENERS; i++)
			if (p[i].revents) {
				int fd = tcp_accept(p[i].fd);

				answers(fd, 1);
				close(fd); /* the server closes first: the client's port is free again at once */
			}
}

static void ask_once(int to)
{
	int fd = tcp_socket_to(SRV4, to);

	own("tcp", fd);
	asks(fd, 1);
	drain(fd);
	_exit(0);
}

static void call(const struct scenario *s)
{
	long i, calls = (long)s->n * s->up;
	time_t end = time(NULL) + s->n; /* a slow machine makes fewer */
	struct timespec next;

	signal(SIGCHLD, SIG_IGN); /* nobody waits for them */
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (i = 0; i < calls && time(NULL) <= end; i++) {
		if (!spawn())
			ask_once(port + i % LISTENERS);
		next.tv_nsec += 1000000000 / s->up;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	sleep(1);
}

struct scenario churn_scenario(int seconds, int rate)
{
	return (struct scenario){ .name = "churn",
				  .server = serve,
				  .client = call,
				  .host = SRV4,
				  .n = seconds,
				  .up = rate };
}

/* ---- names that do their worst ---- */

static const char *const names[] = {
	"new\nline",       "quo\"te",          "back\\slash",     "\xff\xfe\xc3(", "",
	"\x1b[2J\x1b[31m", "{\"a\":[1,",       "tab\tret\rnul",   "comm=x pid=1",  "how=exact",
	"(paren) S 1",     "\xe2\x80\xae rtl", "fifteen-bytes-15"
};

#define NAMES (sizeof(names) / sizeof(*names))

/* Ten thousand times a second. A process is known by the name it had first, so each one begins with another. */
static void rename_all_the_time(const volatile bool *over, unsigned first)
{
	for (; !*over; first++) {
		prctl(PR_SET_NAME, names[first % NAMES]);
		usleep(50);
	}
}

struct asker {
	const struct scenario *scenario;
	volatile bool over;
};

static void *ask_all_the_time(void *arg)
{
	struct asker *a = arg;
	time_t end = time(NULL) + a->scenario->n;

	while (time(NULL) < end) {
		int fd = tcp_socket_to(SRV4, port);

		own("tcp", fd);
		asks(fd, 10);
		close(fd);
		usleep(20000);
	}
	a->over = true;
	return NULL;
}

static void ask_as(const struct scenario *s, unsigned name)
{
	struct asker a = { .scenario = s };
	pthread_t thread;

	prctl(PR_SET_NAME, names[name]);
	must(-pthread_create(&thread, NULL, ask_all_the_time, &a), "make a thread");
	if (!name)
		rename_all_the_time(&a.over, name); /* the leader: its name is the process's */
	pthread_join(thread, NULL);
	_exit(0);
}

static void hostile_call(const struct scenario *s)
{
	pid_t child[NAMES];
	unsigned i;

	for (i = 0; i < NAMES; i++) {
		child[i] = spawn();
		if (!child[i])
			ask_as(s, i);
	}
	for (i = 0; i < NAMES; i++)
		reap(child[i]);
}

static void *answer_all_the_time(void *listener)
{
	while (1) {
		int fd = tcp_accept((int)(long)listener);

		answers(fd, -1);
		close(fd);
	}
	return NULL;
}

static void hostile_serve(const struct scenario *s)
{
	volatile bool never = false;
	pthread_t thread;
	long listener;

	(void)s;
	prctl(PR_SET_NAME, names[0]);
	listener = tcp_listen(AF_INET, 64);
	own_port("tcp");
	must(-pthread_create(&thread, NULL, answer_all_the_time, (void *)listener),
	     "make a thread");
	ready();
	rename_all_the_time(&never, 0);
}

struct scenario hostile_scenario(int seconds)
{
	return (struct scenario){ .name = "hostile",
				  .server = hostile_serve,
				  .client = hostile_call,
				  .host = SRV4,
				  .n = seconds };
}
