/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TEXT_H
#define WIREWHO_TEXT_H
/*
 * Bytes and times as text for machines: names from the kernel are bytes, JSON wants UTF-8 (RFC 3629).
 */
#include <stddef.h>
#include <stdint.h>

/*
 * Up to n bytes, or up to the first zero, as valid UTF-8: each byte that belongs to no character becomes \xNN. Always
 * terminated; never cut within a character or a \xNN. 4 * n + 1 bytes are always enough. Returns the length.
 */
size_t text__utf8(char *to, size_t size, const char *bytes, size_t n);

#define TEXT_TIME_SIZE sizeof("2554-07-21T23:34:33.709551615Z")
/* CLOCK_REALTIME ns as RFC 3339 in UTC, with nanoseconds. Returns `to`. */
char *text__time(char to[TEXT_TIME_SIZE], uint64_t ns);
#endif
