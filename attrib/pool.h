/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_POOL_H
#define WIREWHO_POOL_H
/*
 * Objects of one size, known by a number (their handle). Memory comes in chunks that never move: growing copies
 * nothing, a pointer stays good until its object is given back, and a sweep over all objects is sequential. The lowest
 * chunk with room is used first, so that after a flood the higher ones run empty and can be returned.
 */
#include <stddef.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool_chunk {
	char *at;       /* NULL: returned to the system */
	uint32_t used;  /* objects in use */
	uint32_t fresh; /* objects handed out at least once */
	uint32_t free;  /* first of the free list inside it, + 1 */
};

struct pool {
	size_t size;    /* of one object */
	unsigned shift; /* a chunk holds 1 << shift objects */
	struct pool_chunk *chunk;
	uint32_t chunks, room;
	uint32_t open; /* no chunk below this one has room */
	size_t used;
};

/* size is a multiple of 8. Takes no memory yet. */
void pool__init(struct pool *p, size_t size, unsigned shift);
void pool__free(struct pool *p);

/* A zeroed object, or NULL without memory. */
void *pool__take(struct pool *p, uint32_t *handle);
/* The object is zeroed but for its first four bytes, which are the pool's until it is taken again. */
void pool__give(struct pool *p, uint32_t handle);
/* Returns empty chunks to the system, all but the first. */
void pool__trim(struct pool *p);

size_t pool__bytes(const struct pool *p);

static inline void *pool__at(const struct pool *p, uint32_t handle)
{
	uint32_t in_chunk = handle & ((1u << p->shift) - 1);

	return p->chunk[handle >> p->shift].at + in_chunk * p->size;
}

/* The place behind any number, in use or not: NULL where there is none. */
static inline void *pool__find(const struct pool *p, uint32_t handle)
{
	uint32_t number = handle >> p->shift;

	return number < p->chunks && p->chunk[number].at ? pool__at(p, handle) : NULL;
}

/* The first place from *handle upwards that was ever handed out, in use or not; *handle becomes its own. */
static inline void *pool__next(const struct pool *p, uint32_t *handle)
{
	uint32_t number = *handle >> p->shift;

	while (number < p->chunks) {
		if ((*handle & ((1u << p->shift) - 1)) < p->chunk[number].fresh)
			return pool__at(p, *handle);
		*handle = ++number << p->shift;
	}
	return NULL;
}
#endif
