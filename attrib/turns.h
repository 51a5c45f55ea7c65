/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ATTRIB_TURNS_H
#define WIREWHO_ATTRIB_TURNS_H
/*
 * Brings counts and changes of hands into order. When a socket in use gets another owner, its flow is counted apart from
 * that moment on (xdp/turns.h). The join takes what it is told in order, so a change is kept back until a harvest that
 * began after it has brought in all that was counted before it; and so is what was counted after it.
 *
 * Pure: no I/O, no clock; times are those of the events.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "owner.h"
#include "xdp/flow.h"

struct turns;

/* What a harvest found of a flow that is counted apart. */
struct turned {
	struct flow_key key; /* oriented; without the turn */
	struct count count;
	uint8_t turn, dir, marks;
};

struct turns_out {
	void (*count)(void *to, const struct turned *c);
	void (*event)(void *to, const struct owner_event *e);
	void *to;
};

int turns__open(struct turns **out);
void turns__close(struct turns *t);

/* Is this event to wait for its harvest? Then it was taken. It waits as well for an earlier one of the same socket. */
bool turns__take(struct turns *t, const struct owner_event *e);

bool turns__wait(const struct turns *t); /* some do */

/* 0 or -ENOMEM: then it was not taken. */
int turns__count(struct turns *t, const struct turned *c);

/*
 * After a harvest that began at `begun`: hands on, in order, the changes from before then and the counts around them. What
 * belongs to later changes goes on waiting.
 */
void turns__settle(struct turns *t, uint64_t begun, const struct turns_out *out);
#endif
