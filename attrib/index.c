// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_LEAST 8
#define ROOM_SMALL 256 /* up to here a segment doubles */

void index__free(struct index *ix)
{
	unsigned i;

	for (i = 0; i < INDEX_SEGMENTS; i++)
		free(ix->segment[i].entry);
	memset(ix, 0, sizeof(*ix));
}

static uint32_t after(const struct index_segment *s, uint32_t at)
{
	return at + 1 == s->room ? 0 : at + 1;
}

static void place(struct index_segment *s, struct index_entry e)
{
	uint32_t at = index__home(s, e.hash);

	while (s->entry[at].value != INDEX_NONE)
		at = after(s, at);
	s->entry[at] = e;
	s->n++;
}

static int resize(struct index_segment *s, uint32_t room)
{
	struct index_segment more = { .room = room };
	uint32_t i;

	more.entry = malloc(room * sizeof(*more.entry));
	if (!more.entry)
		return -ENOMEM;
	memset(more.entry, 0xff, room * sizeof(*more.entry));
	for (i = 0; i < s->room; i++)
		if (s->entry[i].value != INDEX_NONE)
			place(&more, s->entry[i]);
	free(s->entry);
	*s = more;
	return 0;
}

static uint32_t more_room(const struct index_segment *s)
{
	if (!s->room)
		return ROOM_LEAST;
	return s->room < ROOM_SMALL ? s->room * 2 : s->room + s->room / 4;
}

int index__add(struct index *ix, uint32_t hash, uint32_t value)
{
	struct index_segment *s = &ix->segment[hash >> 24];
	int err = 0;

	if (s->n >= s->room / 5 * 4)
		err = resize(s, more_room(s));
	if (!err)
		place(s, (struct index_entry){ .hash = hash, .value = value });
	return err;
}

/* How far an entry that stands `at` is from where it would like to stand. */
static uint32_t distance(const struct index_segment *s, uint32_t from, uint32_t at)
{
	return at >= from ? at - from : at + s->room - from;
}

/* Entries behind the hole move up where they may, so that no search ends too early and nothing marks the dead. */
static void close_hole(struct index_segment *s, uint32_t hole)
{
	uint32_t at = after(s, hole);

	for (; s->entry[at].value != INDEX_NONE; at = after(s, at)) {
		uint32_t home = index__home(s, s->entry[at].hash);

		if (distance(s, home, at) < distance(s, hole, at))
			continue;
		s->entry[hole] = s->entry[at];
		hole = at;
	}
	s->entry[hole].value = INDEX_NONE;
}

void index__remove(struct index *ix, uint32_t hash, uint32_t value)
{
	struct index_segment *s = &ix->segment[hash >> 24];
	uint32_t at = s->room ? index__home(s, hash) : 0;

	if (!s->room)
		return;
	while (s->entry[at].hash != hash || s->entry[at].value != value) {
		if (s->entry[at].value == INDEX_NONE)
			return;
		at = after(s, at);
	}
	close_hole(s, at);
	s->n--;
	/* Without memory for a smaller one, the larger one serves as well. */
	if (s->room > ROOM_LEAST && s->n < s->room / 4)
		resize(s, s->room / 2);
}

size_t index__bytes(const struct index *ix)
{
	size_t sum = sizeof(*ix);
	unsigned i;

	for (i = 0; i < INDEX_SEGMENTS; i++)
		sum += ix->segment[i].room * sizeof(struct index_entry);
	return sum;
}
