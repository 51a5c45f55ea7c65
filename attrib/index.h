/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_INDEX_H
#define WIREWHO_INDEX_H
/*
 * From a 32-bit hash to the numbers that were added under it; whoever asks compares the real keys. Open addressing
 * with the hash beside the number, so a search touches one or two lines here and then, nearly always, only the right
 * object; and growing reads no object at all. The hash's upper bits choose one of 256 segments that grow each on its
 * own, by a quarter: no growth ever moves more than 1/256 of the whole, or needs twice the memory. 10 to 12.5 bytes
 * an entry, where there are more than some ten thousand.
 */
#include <stddef.h>
#include <stdint.h>

#define INDEX_SEGMENTS 256
#define INDEX_NONE UINT32_MAX

struct index_entry {
	uint32_t hash;
	uint32_t value; /* INDEX_NONE: empty */
};

struct index_segment {
	struct index_entry *entry;
	uint32_t room, n;
};

struct index {
	struct index_segment segment[INDEX_SEGMENTS];
};

void index__free(struct index *ix); /* leaves an empty index, as does zeroing */
int index__add(struct index *ix, uint32_t hash, uint32_t value); /* 0 or -ENOMEM */
void index__remove(struct index *ix, uint32_t hash, uint32_t value);
size_t index__bytes(const struct index *ix);

/* A walk over everything under one hash:  w = index__walk(ix, hash); while ((value = index__next(&w)) != INDEX_NONE) */
struct index_walk {
	const struct index_segment *segment;
	uint32_t hash, at;
};

/* The place in a segment where a hash would like to stand: monotonic, so that growing keeps the order. */
static inline uint32_t index__home(const struct index_segment *s, uint32_t hash)
{
	return (uint64_t)(hash & 0xffffff) * s->room >> 24;
}

static inline struct index_walk index__walk(const struct index *ix, uint32_t hash)
{
	const struct index_segment *s = &ix->segment[hash >> 24];

	return (struct index_walk){ .segment = s, .hash = hash, .at = index__home(s, hash) };
}

static inline uint32_t index__next(struct index_walk *w)
{
	const struct index_segment *s = w->segment;

	while (s->room) {
		const struct index_entry *e = &s->entry[w->at];

		if (e->value == INDEX_NONE)
			break;
		w->at = w->at + 1 == s->room ? 0 : w->at + 1;
		if (e->hash == w->hash)
			return e->value;
	}
	return INDEX_NONE;
}
#endif
