// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho trace: a table of tracers and nothing else. */
#include "verbs.h"

#include <stdio.h>
#include <string.h>
#include "tools/opt.h"
#include "tools/trace/tracers.h"
#include "xdp/say.h"

static const struct verb tracers[] = {
	{ "exec", trace_exec, "programs as they are started, by whom, and how they end" },
	{ "syscalls", trace_syscalls, "system calls counted by process and name; times, errors" },
	{ "tcp", trace_tcp, "TCP connections: every state, and what they carried" },
	{ "udp", trace_udp, "UDP sockets: what each sent and received, and what was dropped" },
	{ "packets", trace_packets, "packets and bytes each interval, by process or by port" },
};

#define TRACERS (sizeof(tracers) / sizeof(*tracers))

static int help(void)
{
	printf("usage: wirewho trace WHAT [OPTION]... [interval [count]]\n\n");
	for (size_t i = 0; i < TRACERS; i++)
		printf("  %-9s %s\n", tracers[i].name, tracers[i].line);
	printf("\n'wirewho trace WHAT --help' shows its options.\n\nexamples:\n"
	       "  wirewho trace exec --args                   every program that is started\n"
	       "  wirewho trace exec --by user 10             how many a user, every ten seconds\n"
	       "  wirewho trace syscalls --latency -p 1234    what one process asks the kernel for\n");
	return 0;
}

int verb_trace(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return help();
	for (size_t i = 0; argc > 1 && i < TRACERS; i++)
		if (!strcmp(argv[1], tracers[i].name))
			return tracers[i].run(argc - 1, argv + 1);
	if (argc > 1)
		say(SAY_ERROR,
		    "there is nothing called '%.40s' to trace; try 'wirewho trace --help'",
		    argv[1]);
	else
		say(SAY_ERROR, "trace what? try 'wirewho trace --help' for the list");
	return 2;
}
