/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ROTATE_H
#define WIREWHO_ROTATE_H
/*
 * A capture in several files, as tcpdump names and counts them:
 *
 *   -C BYTES            FILE, FILE1, FILE2 ...: a new file once the present one is larger
 *   -C BYTES -W COUNT   FILE0 ... FILE(COUNT-1), numbers of equal length, and around again: a ring
 *   -G SECONDS          strftime(FILE): a new file after so many seconds
 *   -G SECONDS -W COUNT the same, and the capture ends after COUNT files
 *   -G and -C           strftime(FILE), then the same name with 1, 2 ... until the next period
 *
 * Pure: no I/O and no clock of its own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct rotate {
	const char *path; /* as the person named it */
	uint64_t bytes;   /* 0: any size */
	uint64_t seconds; /* 0: any time */
	uint64_t files;   /* 0: any number */
	uint64_t number;  /* files named so far */
	uint64_t part;    /* of the present name */
	time_t since;     /* when the present period began */
};

/* Is the file that has `size` bytes at `now` to be left? */
bool rotate__due(const struct rotate *r, uint64_t size, time_t now);
/* Was that the last one (-G with -W)? */
bool rotate__is_over(const struct rotate *r);
/* The next file's name, the first as well. 0, or -ENAMETOOLONG: nothing changed. */
int rotate__next(struct rotate *r, time_t now, char *name, size_t size);
#endif
