// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pool.h"

#include <stdlib.h>
#include <string.h>

void pool__init(struct pool *p, size_t size, unsigned shift)
{
	*p = (struct pool){ .size = size, .shift = shift };
}

void pool__free(struct pool *p)
{
	uint32_t i;

	for (i = 0; i < p->chunks; i++)
		free(p->chunk[i].at);
	free(p->chunk);
	pool__init(p, p->size, p->shift);
}

static struct pool_chunk *add_chunk(struct pool *p)
{
	uint32_t room = p->room ? p->room * 2 : 8;
	struct pool_chunk *more;

	/* The last handle of all stays unused: it is POOL_NONE. */
	if (p->chunks + 1 >= 1u << (32 - p->shift))
		return NULL;
	if (p->chunks == p->room) {
		more = realloc(p->chunk, room * sizeof(*more));
		if (!more)
			return NULL;
		p->chunk = more;
		p->room = room;
	}
	p->chunk[p->chunks] = (struct pool_chunk){ 0 };
	return &p->chunk[p->chunks++];
}

static struct pool_chunk *chunk_with_room(struct pool *p)
{
	struct pool_chunk *c;

	while (p->open < p->chunks && p->chunk[p->open].used == 1u << p->shift)
		p->open++;
	c = p->open < p->chunks ? &p->chunk[p->open] : add_chunk(p);
	if (c && !c->at)
		c->at = calloc((size_t)1 << p->shift, p->size);
	return c && c->at ? c : NULL;
}

void *pool__take(struct pool *p, uint32_t *handle)
{
	struct pool_chunk *c = chunk_with_room(p);
	uint32_t in_chunk;
	char *object;

	if (!c)
		return NULL;
	in_chunk = c->free ? c->free - 1 : c->fresh++;
	object = c->at + in_chunk * p->size;
	if (c->free)
		memcpy(&c->free, object, sizeof(c->free));
	memset(object, 0, sizeof(c->free));
	c->used++;
	p->used++;
	*handle = (uint32_t)(c - p->chunk) << p->shift | in_chunk;
	return object;
}

void pool__give(struct pool *p, uint32_t handle)
{
	struct pool_chunk *c = &p->chunk[handle >> p->shift];
	char *object = pool__at(p, handle);

	memset(object, 0, p->size);
	memcpy(object, &c->free, sizeof(c->free));
	c->free = (handle & ((1u << p->shift) - 1)) + 1;
	c->used--;
	p->used--;
	if (handle >> p->shift < p->open)
		p->open = handle >> p->shift;
}

void pool__trim(struct pool *p)
{
	uint32_t i;

	for (i = 1; i < p->chunks; i++) {
		if (p->chunk[i].used)
			continue;
		free(p->chunk[i].at);
		p->chunk[i] = (struct pool_chunk){ 0 };
	}
}

size_t pool__bytes(const struct pool *p)
{
	size_t sum = p->room * sizeof(*p->chunk);
	uint32_t i;

	for (i = 0; i < p->chunks; i++)
		if (p->chunk[i].at)
			sum += p->size << p->shift;
	return sum;
}
