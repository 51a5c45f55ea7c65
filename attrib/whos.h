/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WHOS_H
#define WIREWHO_WHOS_H
/*
 * The processes that own something, each once, counted by those who refer to it. A process nobody refers to stays until
 * whos__forget(), so pointers to it are good until then.
 */
#include "hash.h"
#include "index.h"
#include "owner.h"
#include "pool.h"

#define WHO_NONE POOL_NONE

struct whos {
	struct pool pool;
	struct index index;
	const struct hash_seed *seed;
};

void whos__init(struct whos *w, const struct hash_seed *seed);
void whos__free(struct whos *w);

/* The number of this process, (pid, start); new ones are taken in. WHO_NONE without memory. Refers to nothing yet. */
uint32_t whos__intern(struct whos *w, const struct who *who);
/* *slot lets go of what it refers to and refers to `who` instead; both may be WHO_NONE. */
void whos__set(struct whos *w, uint32_t *slot, uint32_t who);
/* The process has a new name, user or cgroup; nothing happens where it is not known. */
void whos__renew(struct whos *w, const struct who *who);
void whos__forget(struct whos *w);

const struct who *whos__at(const struct whos *w, uint32_t who); /* NULL for WHO_NONE */
#endif
