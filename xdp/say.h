/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SAY_H
#define WIREWHO_SAY_H
/*
 * How every room speaks to the person: one line a call, without newline, printed to stderr as `wirewho: ...`. The
 * face (tools/) sets the verbosity; libraries' own lines appear indented under ours at DETAIL.
 *
 * An error line says what we tried, on what, why not, and what to try:
 *   attach XDP to eth0 (native): Numerical result out of range; its MTU is 9000, try --mode generic
 */
#include <stdarg.h>

enum say_level {
	SAY_ERROR,  /* what was asked for cannot be done */
	SAY_NOTE,   /* a downgrade, a loss, a surprise: always shown */
	SAY_DETAIL, /* -v */
};

void say(enum say_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say__set_level(enum say_level most);

/* For libbpf_set_print() and libxdp_set_print(): their level numbers, their lines. */
int say__library(int level, const char *format, va_list args);

/*
 * "what: strerror(-err); hint" as one SAY_ERROR; hint may be NULL, and is another one where too many files are open.
 * Returns err, so callers `return fail(...)`.
 */
int fail(int err, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));
#endif
