/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SPOOL_H
#define WIREWHO_SPOOL_H
/*
 * Packet blocks on their way from the packet threads to a file, or a row of files. Each thread has a lane: a ring of
 * bytes with one producer and one consumer, mapped twice in a row so that a block never wraps. One writer thread empties
 * all lanes with large writes. Nobody waits: a lane that is full refuses the block, and the producer counts it.
 *
 * What lies in the lanes are blocks of pcapng, or anything else that has its length in bytes 4 to 7 as they have it. An editor
 * sees each, in the writer's thread, after it has lain for a while: it lets it be, leaves it out, or writes another in its
 * stead. Blocks that stay as they are go from the lane to the file; only among others they are copied once more.
 *
 * When a write fails (full disk, reader gone), a regular file is cut back to its last whole block, the event fd becomes
 * readable, and all lanes refuse from then on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "rotate.h"

struct spool;

#define SPOOL_BLOCK_MOST (1u << 20)
#define SPOOL_AS_IT_IS SIZE_MAX

/* All of it is called from the writer's thread. What is put is whole blocks of pcapng; there is room for `room` bytes. */
struct spool_editor {
	void *to;
	unsigned
		hold_ms; /* a block lies so long before edit(), up to twice; less when its lane is half full */
	int fd;                  /* ready() is called when it is readable; -1: none */
	void (*ready)(void *to); /* also before each round of edit() */
	/*
	 * One block of a lane: what was put at `out` in its stead, or SPOOL_AS_IT_IS. 0 leaves it out, and the editor has
	 * counted it. Room: the block's size and 64 KiB.
	 */
	size_t (*edit)(void *to, const void *block, void *out, size_t room);
	size_t (*head)(void *to, void *out, size_t room); /* of a further file */
	size_t (*foot)(void *to, void *out, size_t room); /* of a file that is not the last */
};

/* Opens `path` ("-" is stdout) for `lanes` threads. Returns 0 or -errno (said); *out untouched on failure. */
int spool__open(struct spool **out, const char *path, unsigned lanes);
/* Before spool__start(). Without an editor blocks are written as they are; without rotation there is one file. */
void spool__edit(struct spool *s, const struct spool_editor *editor);
/* `r` has named the file that is open now. Needs an editor. */
void spool__rotate(struct spool *s, const struct rotate *r);
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

int spool__event_fd(
	const struct spool *s); /* readable once a write has failed, or the last file is full */
bool spool__failed(const struct spool *s);

/* A lane's producer: room for one block of at most SPOOL_BLOCK_MOST, or NULL; filled and committed; published when a batch is done. */
void *spool__reserve(struct spool *s, unsigned lane, size_t size);
void spool__commit(struct spool *s, unsigned lane, size_t size);
void spool__publish(struct spool *s, unsigned lane);

/*
 * After spool__finish(), packets that went through lanes: written whole; committed but never written; and come after the
 * last of the files. With those that the editor left out they are all that was committed.
 */
uint64_t spool__written(const struct spool *s);
uint64_t spool__unwritten(const struct spool *s);
uint64_t spool__past(const struct spool *s);
unsigned long long spool__files(const struct spool *s); /* how many were opened */
#endif
