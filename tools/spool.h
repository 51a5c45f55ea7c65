/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SPOOL_H
#define WIREWHO_SPOOL_H
/*
 * Packet blocks on their way from the packet threads to one file. Each thread has a lane: a ring of bytes with one
 * producer and one consumer, mapped twice in a row so that a block never wraps. One writer thread empties all lanes with
 * large writes. Nobody waits: a lane that is full refuses the block, and the producer counts it.
 *
 * When a write fails (full disk, reader gone), a regular file is cut back to its last whole block, the event fd becomes
 * readable, and all lanes refuse from then on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

/* Opens `path` ("-" is stdout) for `lanes` threads. Returns 0 or -errno (said); *out untouched on failure. */
int spool__open(struct spool **out, const char *path, unsigned lanes);
/* After spool__finish(), or without spool__start(); NULL is fine. 0, or -errno (said): the file may be incomplete. */
int spool__close(struct spool *s);

/* Writes what stands at the start of the file, before spool__start(). 0 or -errno (said). */
int spool__write(struct spool *s, const void *block, size_t size);

int spool__start(struct spool *s);
/*
 * Waits until the writer has written all that was published and, at the end of the file, `last`. Gives up when the
 * reader of a pipe has taken nothing for five seconds. Returns 0 or the -errno of the write that failed (said).
 */
int spool__finish(struct spool *s, const void *last, size_t size);

int spool__event_fd(const struct spool *s); /* readable once a write has failed */
bool spool__failed(const struct spool *s);

/* A lane's producer: room for one block, or NULL; filled and committed; published when a batch is done. */
void *spool__reserve(struct spool *s, unsigned lane, size_t size);
void spool__commit(struct spool *s, unsigned lane, size_t size);
void spool__publish(struct spool *s, unsigned lane);

/* After spool__finish(): blocks that went through lanes, written whole, and committed but never written. */
uint64_t spool__written(const struct spool *s);
uint64_t spool__unwritten(const struct spool *s);
#endif
