// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a pcapng file, read twice: in one piece and in small ones, each time by a reader whose memory other bytes
 * went through before. Both find the same packets and the same processes, no byte outside a block is looked at, texts end, and
 * a packet's comment says the same each time it is read.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/capture/owner.h"
#include "tools/capture/pcapng_reader.h"
#include "tools/outputs/output.h"

/* Listed where the names of `how` stand; nothing is put out here. */
const struct output_kind output_jsonl;

#define JUNK 16384 /* more than an input is long */

/* What a reader found, as one number a reading. */
struct found {
	uint64_t sum, packets, processes;
};

static void check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void add(struct found *f, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n--)
		f->sum = (f->sum ^ *at++) * 0x100000001b3ull;
}

static void add_text(struct found *f, const char *text)
{
	add(f, text ? text : "-", text ? strlen(text) + 1 : 1);
}

/* In memory of its own, so that a byte too many shows. */
static void add_comment(struct found *f, const char *comment, size_t length)
{
	char text[OWNER_COMMENT_SIZE], *own = malloc(length ? length : 1);
	struct process p = {};
	enum owner_how how = OWNER_NONE;

	memcpy(own, comment, length);
	add(f, own, length);
	if (!owner_comment__parse(own, length, text, &p, &how)) {
		check(p.who.pid && how > OWNER_NONE && how < OWNER_HOW_N, "an owner without name");
		check(memchr(p.who.comm, 0, sizeof(p.who.comm)) != NULL, "comm does not end");
		add(f, &p.who, sizeof(p.who));
		add_text(f, p.user);
		add_text(f, p.container);
	}
	free(own);
}

static void on_packet(void *to, const struct pcapng_note *n)
{
	struct found *f = to;

	f->packets++;
	add(f, &n->length, sizeof(n->length));
	add(f, &n->flags, sizeof(n->flags));
	add(f, &n->pid, sizeof(n->pid));
	if (n->comment)
		add_comment(f, n->comment, n->comment_length);
}

static void on_process(void *to, const struct pcapng_process *p)
{
	struct found *f = to;

	f->processes++;
	check(p->pid != 0, "a process without pid");
	add(f, &p->pid, sizeof(p->pid));
	add(f, &p->parent, sizeof(p->parent));
	add(f, &p->uid, sizeof(p->uid));
	add(f, &p->start, sizeof(p->start));
	add_text(f, p->name);
	add_text(f, p->exe);
	add_text(f, p->user);
}

/* A section and a block of no kind, full of one byte: whoever looks behind a later block finds it. */
static void leave_junk(struct pcapng_reader *r, int byte)
{
	static uint8_t block[JUNK];
	uint32_t head[2] = { 0x7fffffff, JUNK };
	size_t n = pcapng__section(block, sizeof(block), (struct pcapng_options){});

	pcapng_reader__feed(r, block, n);
	memset(block, byte, sizeof(block));
	memcpy(block, head, sizeof(head));
	pcapng_reader__feed(r, block, sizeof(block));
}

/* Pieces of 1 to `most` bytes, each at the end of what may be read. */
static struct found read_in(const uint8_t *data, size_t size, size_t most, int junk)
{
	struct found f = { .sum = 0xcbf29ce484222325ull };
	const struct pcapng_listener listener = { &f, on_packet, on_process };
	struct pcapng_reader *r;
	size_t at = 0, part = 0;
	uint8_t *piece;

	if (pcapng_reader__open(&r, &listener))
		abort();
	leave_junk(r, junk);
	while (at < size) {
		part = part % most + 1;
		if (part > size - at)
			part = size - at;
		piece = malloc(part);
		memcpy(piece, data + at, part);
		pcapng_reader__feed(r, piece, part);
		free(piece);
		at += part;
	}
	pcapng_reader__close(r);
	return f;
}

/* In one piece. */
static struct found read_whole(const uint8_t *data, size_t size)
{
	struct found f = { .sum = 0xcbf29ce484222325ull };
	const struct pcapng_listener listener = { &f, on_packet, on_process };
	struct pcapng_reader *r;

	if (pcapng_reader__open(&r, &listener))
		abort();
	leave_junk(r, 0xff);
	pcapng_reader__feed(r, data, size);
	pcapng_reader__close(r);
	return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found whole = read_whole(data, size), pieces = read_in(data, size, 29, 4);

	check(!memcmp(&whole, &pieces, sizeof(whole)), "in pieces it is another file");
	return 0;
}
