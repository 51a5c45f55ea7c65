// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tally.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 64

/* Rows lie in one array, and an open-addressing index of numbers (row + 1) points at them. */
struct tally_table {
	size_t key_size, n, room; /* the index has 2 * room places, a power of two */
	struct tally_row *row;
	uint32_t *index;
	bool sorted; /* the index is out of date */
};

static size_t hash(const struct tally_table *t, const void *key)
{
	const unsigned char *p = key;
	uint64_t h = 14695981039346656037ull; /* FNV-1a */
	size_t i;

	for (i = 0; i < t->key_size; i++)
		h = (h ^ p[i]) * 1099511628211ull;
	return h ^ h >> 32;
}

static uint32_t *place(const struct tally_table *t, const void *key)
{
	size_t mask = 2 * t->room - 1, at = hash(t, key) & mask;

	while (t->index[at] && memcmp(t->row[t->index[at] - 1].key, key, t->key_size))
		at = (at + 1) & mask;
	return &t->index[at];
}

static void index__build(struct tally_table *t)
{
	size_t i;

	memset(t->index, 0, 2 * t->room * sizeof(*t->index));
	for (i = 0; i < t->n; i++)
		*place(t, t->row[i].key) = i + 1;
	t->sorted = false;
}

static int grow(struct tally_table *t)
{
	size_t room = t->room ? t->room * 2 : ROOM;
	struct tally_row *row = realloc(t->row, room * sizeof(*row));
	uint32_t *index;

	if (!row)
		return -ENOMEM;
	t->row = row;
	index = realloc(t->index, 2 * room * sizeof(*index));
	if (!index)
		return -ENOMEM;
	t->index = index;
	t->room = room;
	index__build(t);
	return 0;
}

int tally_table__open(struct tally_table **out, size_t key_size)
{
	struct tally_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->key_size = key_size;
	if (grow(t)) {
		tally_table__close(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void tally_table__close(struct tally_table *t)
{
	if (!t)
		return;
	free(t->row);
	free(t->index);
	free(t);
}

struct tally_row *tally_table__row(struct tally_table *t, const void *key)
{
	struct tally_row *row;
	uint32_t *at;

	if (t->sorted)
		index__build(t);
	at = place(t, key);
	if (*at)
		return &t->row[*at - 1];
	if (t->n == t->room) {
		if (grow(t))
			return NULL;
		at = place(t, key);
	}
	row = &t->row[t->n++];
	*at = t->n;
	memset(row, 0, sizeof(*row));
	memcpy(row->key, key, t->key_size);
	return row;
}

static int by_sum(const void *a, const void *b, void *arg)
{
	const struct tally_row *x = a, *y = b;
	int by = *(int *)arg;

	if (x->sum[by] != y->sum[by])
		return x->sum[by] < y->sum[by] ? 1 : -1;
	return memcmp(x->key, y->key, sizeof(x->key));
}

size_t tally_table__sorted(struct tally_table *t, int by, const struct tally_row **out)
{
	qsort_r(t->row, t->n, sizeof(*t->row), by_sum, &by);
	t->sorted = true;
	*out = t->row;
	return t->n;
}

void tally_table__empty(struct tally_table *t)
{
	t->n = 0;
	index__build(t);
}
