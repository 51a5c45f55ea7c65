// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* actor NAME PORT SRV_NS CLI_NS [GO_FILE]: plays one scenario; without arguments it lists them. See actor.h. */
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define GRACE_MS 500

const char *side = "both";
int port;
static const char *go_file;
static unsigned seconds_max = 100;
static int ready_pipe[2], gate_pipe[2][2];
static const char *ns[2];
static const char *volatile waiting = "nothing, but goes on and on";

void say_line(const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != n) /* one call: many processes write here */
		_exit(1);
}

_Noreturn void die(const char *what)
{
	fprintf(stderr, "actor (%s, port %d): %s: %s\n", side, port, what, strerror(errno));
	_exit(1);
}

_Noreturn void skip(const char *why)
{
	say_line("skip %s", why);
	_exit(SKIPPED);
}

int must(int result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

void enter(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
	must(setns(fd, CLONE_NEWNET), "enter the namespace");
	close(fd);
}

const char *ns_of(const char *which)
{
	return ns[!strcmp(which, "cli")];
}

/* ---- waiting for each other ---- */

void waits_for(const char *what)
{
	waiting = what;
}

static void on_alarm(int signal)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "actor (%s, port %d): hangs: waits for %s\n", side,
			 port, waiting);

	(void)signal;
	if (write(STDERR_FILENO, line, n) != n)
		_exit(2);
	_exit(1);
}

static void wait_byte(int fd)
{
	char byte;

	waits_for("the other side's word");
	if (read(fd, &byte, 1) != 1)
		_exit(1); /* the other one failed, and said why */
}

void ready(void)
{
	must(write(ready_pipe[1], "r", 1), "say ready");
}

void gate__open(void)
{
	must(write(gate_pipe[!strcmp(side, "srv")][1], "g", 1), "open the gate");
}

void gate__wait(void)
{
	wait_byte(gate_pipe[!strcmp(side, "cli")][0]);
}

void wait_for_tool(void)
{
	waits_for("the tool");
	while (access(go_file, F_OK))
		usleep(20000);
}

pid_t spawn(void)
{
	pid_t child = must(fork(), "fork");

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(seconds_max);
	}
	return child;
}

void reap(pid_t child)
{
	int status;

	waits_for("a child's end");
	must(waitpid(child, &status, 0), "wait for a child");
	if (status) {
		fprintf(stderr, "actor (%s, port %d): a child ended with %d\n", side, port, status);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
}

/* ---- playing ---- */

static pid_t play(const struct scenario *s, bool server)
{
	pid_t child = spawn();

	if (child)
		return child;
	side = server || s->near ? "srv" : "cli";
	close(server ? ready_pipe[0] : ready_pipe[1]);
	enter(ns[!server && !s->near]);
	if (!server)
		wait_byte(ready_pipe[0]);
	(server ? s->server : s->client)(s);
	_exit(0);
}

static int end_of(pid_t child, const char *who)
{
	int status;

	if (waitpid(child, &status, 0) < 0 || !status)
		return 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		return SKIPPED;
	fprintf(stderr, "actor: the %s of port %d ended with status %d\n", who, port, status);
	return 1;
}

/* A server that would wait for more is told that this was all. */
static void hurry(pid_t server, int ms)
{
	siginfo_t info = { .si_pid = 0 };

	for (; ms > 0; ms -= 20) {
		waitid(P_PID, server, &info, WEXITED | WNOHANG | WNOWAIT);
		if (info.si_pid)
			return;
		usleep(20000);
	}
	kill(server, SIGTERM);
}

static int run(const struct scenario *s)
{
	pid_t server, client;
	int i, ended;

	must(pipe2(ready_pipe, O_CLOEXEC), "pipe");
	for (i = 0; i < 2; i++)
		must(pipe2(gate_pipe[i], O_CLOEXEC), "pipe");
	signal(SIGPIPE, SIG_IGN);
	server = play(s, true);
	client = play(s, false);
	close(ready_pipe[1]);
	ended = end_of(client, "client");
	hurry(server, ended ? 0 : GRACE_MS);
	i = end_of(server, "server");
	return i == SKIPPED || !ended ? i : ended;
}

static const struct scenario *const tables[] = { plain_scenarios, handed_scenarios, calls_scenarios,
						 odd_scenarios, uring_scenarios };

static const struct scenario *find(const char *name)
{
	const struct scenario *s;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (s = tables[i]; s->name; s++)
			if (name && !strcmp(s->name, name))
				return s;
			else if (!name)
				printf("%s %s\n", s->name, s->older ? "older" : "younger");
	return NULL;
}

int main(int argc, char **argv)
{
	const struct scenario *s = find(argc > 1 ? argv[1] : NULL);
	struct scenario own;

	if (argc == 1)
		return 0;
	signal(SIGALRM, on_alarm);
	if (argc == 3 && !strcmp(argv[1], "--serve-3")) /* started by socket activation */
		return port = atoi(argv[2]), side = "srv", answers(tcp_accept(3), -1), 0;
	if (argc == 4 && !strcmp(argv[1], "--go-on")) /* the same process, another program */
		return port = atoi(argv[2]), side = "srv", answers(atoi(argv[3]), -1), 0;
	if (argc == 7 && !strcmp(argv[1], "churn")) {
		seconds_max += atoi(argv[5]);
		own = churn_scenario(atoi(argv[5]), atoi(argv[6]));
		s = &own;
	} else if (argc == 6 && !strcmp(argv[1], "hostile")) {
		own = hostile_scenario(atoi(argv[5]));
		s = &own;
	}
	if (argc == 7 && !strcmp(argv[1], "crowd")) {
		own = crowd_scenario(atoi(argv[6]));
		s = &own;
	}
	if (!s || argc < 5) {
		fprintf(stderr, "usage: actor [NAME PORT SRV_NS CLI_NS [GO_FILE]]\n"
				"       actor churn PORT SRV_NS CLI_NS SECONDS RATE\n"
				"       actor hostile PORT SRV_NS CLI_NS SECONDS\n"
				"       actor crowd PORT SRV_NS CLI_NS GO_FILE SOCKETS\n");
		return 2;
	}
	port = atoi(argv[2]);
	ns[0] = argv[3];
	ns[1] = argv[4];
	go_file = argc > 5 ? argv[5] : "/";
	return run(s);
}
