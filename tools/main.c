// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "opt.h"
#include "tools/verbs/verbs.h"
#include "xdp/say.h"

static const struct verb verbs[] = {
	{ "top", verb_top, "live table: which process, user, container or flow is on the wire" },
	{ "run", verb_run, "the daemon: counts, names and writes every flow to all outputs" },
	{ "capture", verb_capture, "packets to a pcapng file, each with its process" },
	{ "read", verb_read, "flows out of a pcap or pcapng file, by the same parser" },
	{ "trace", verb_trace,
	  "execs, system calls, TCP states, UDP sockets, packets, as they happen" },
	{ "doctor", verb_doctor, "what this host can do, what is in the way, and the exact fix" },
	{ "cleanup", verb_cleanup, "remove what a killed run left behind, and nothing else" },
};

#define VERBS (sizeof(verbs) / sizeof(*verbs))

static int help(void)
{
	printf("wirewho %s: who is on the wire?\n\nusage: wirewho VERB [OPTION]...\n\n",
	       WIREWHO_VERSION);
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-9s %s\n", verbs[i].name, verbs[i].line);
	printf("\n'wirewho VERB --help' shows a verb's options.\n\nexamples:\n"
	       "  wirewho doctor -i eth0          can it work here, and what is in the way\n"
	       "  wirewho top -i eth0             live, by process; q quits\n"
	       "  wirewho run -i eth0 --jsonl -   one JSON line a flow, to standard output\n"
	       "  wirewho capture -i eth0 -w web.pcapng 'tcp port 443'\n");
	return 0;
}

/* Letters in common at the start, then anywhere: enough to know "captrue" from "cleanup". */
static int likeness(const char *a, const char *b)
{
	int same = 0, score;

	while (a[same] && a[same] == b[same])
		same++;
	score = 4 * same;
	for (; *a; a++)
		score += strchr(b, *a) ? 1 : -1;
	return score;
}

static int unknown(const char *name)
{
	const char *closest = NULL;
	int best = 2;

	for (size_t i = 0; i < VERBS; i++) {
		int score = likeness(name, verbs[i].name);

		if (score <= best)
			continue;
		best = score;
		closest = verbs[i].name;
	}
	if (closest)
		say(SAY_ERROR, "no verb '%.40s'; did you mean '%s'? try 'wirewho --help'", name,
		    closest);
	else
		say(SAY_ERROR, "no verb '%.40s'; try 'wirewho --help' for the list", name);
	return 2;
}

/* A full disk or a closed pipe must not look like success; who ended with a failure has said which. */
static int flushed(int code)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	if (!code && errno != EPIPE)
		fail(errno ? -errno : -EIO, NULL, "write to standard output");
	return code ? code : 1;
}

/*
 * Standard descriptors that the caller closed: a file or BPF object of ours must not get their numbers. Opened the wrong way
 * round, so that using one fails as it did before (EBADF).
 */
static void hold_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	hold_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "");
	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help"))
		return flushed(help());
	if (!strcmp(argv[1], "--version")) {
		printf("wirewho %s\n", WIREWHO_VERSION);
		return flushed(0);
	}
	for (size_t i = 0; i < VERBS; i++)
		if (!strcmp(argv[1], verbs[i].name))
			return flushed(verbs[i].run(argc - 1, argv + 1));
	return unknown(argv[1]);
}
