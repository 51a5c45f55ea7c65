/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_COPIER_H
#define WIREWHO_COPIER_H
/*
 * Copies: one thread reads the slices that the XDP program left in a ring buffer for each CPU, and hands them to a sink as
 * lane 0, in the order of their times. The program never wakes it; it looks by itself, the more often the fuller it finds
 * the rings.
 *
 * A clean end loses nothing: detach the program first, then copier__stop() (empties the rings), then copier__delivered().
 */
#include <stdint.h>
#include "engine.h"

struct copier;

/* The rings are of `ring_bytes`, a record of at most `record_bytes`. 0 or -errno (said). */
int copier__open(struct copier **out, const struct frame_sink *sink, uint32_t ring_bytes,
		 uint32_t record_bytes);
void copier__close(struct copier *c);           /* NULL is fine */
int copier__add(struct copier *c, int ring_fd); /* before the start. 0 or -errno (said) */
int copier__start(struct copier *c);            /* 0 or -errno (said) */
void copier__stop(struct copier *c);            /* fine when not started */

uint64_t copier__delivered(const struct copier *c, uint16_t link); /* exact after copier__stop() */
#endif
