/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACERS_H
#define WIREWHO_TRACERS_H
/* The tracers, one file each (NAME.c here). argv[0] is the sub-verb. Each returns the exit code: 0, 1 or 2. */
int trace_exec(int argc, char **argv);
int trace_syscalls(int argc, char **argv);
int trace_tcp(int argc, char **argv);
int trace_udp(int argc, char **argv);
int trace_packets(int argc, char **argv);
#endif
