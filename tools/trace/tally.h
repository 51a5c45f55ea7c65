/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_TALLY_H
#define WIREWHO_TRACE_TALLY_H
/* Sums by key, for tables: a key is any struct without holes, its sums are numbers that only grow. */
#include <stddef.h>
#include <stdint.h>

#define TALLY_KEY 48
#define TALLY_SUMS 6

struct tally_row {
	unsigned char key[TALLY_KEY];
	uint64_t sum[TALLY_SUMS];
};

struct tally_table;

/* `key_size`: at most TALLY_KEY bytes. 0 or -ENOMEM. */
int tally_table__open(struct tally_table **out, size_t key_size);
void tally_table__close(struct tally_table *t);
/* The row of this key, made when new. Valid until the next call. NULL without memory. */
struct tally_row *tally_table__row(struct tally_table *t, const void *key);
/* The rows, largest sum[by] first, then by key; ends their order by hash. Returns how many. */
size_t tally_table__sorted(struct tally_table *t, int by, const struct tally_row **out);
void tally_table__empty(struct tally_table *t);
#endif
