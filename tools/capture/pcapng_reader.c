// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pcapng_reader.h"

#include <byteswap.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_SECTION = 0x0A0D0D0A,
	BLOCK_PACKET_OLD = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_PACKET = 6,
	BLOCK_CUSTOM = 0xBAD,
};

#define MAGIC 0x1A2B3C4D
#define BLOCK_LEAST 12
#define BLOCK_MOST (16u << 20) /* what libpcap and Wireshark read at most */
#define TEXT_MOST 4096

struct pcapng_reader {
	struct pcapng_listener listener;
	bool begun, swapped, silent;
	uint8_t *block;
	size_t have, room;
};

/* The part of a block that is still to be looked at. */
struct part {
	const uint8_t *at;
	size_t size;
	bool swapped;
};

struct option {
	uint16_t code, length;
	const uint8_t *value;
};

/* ---- numbers and options ---- */

static uint32_t get_u32(const uint8_t *at, bool swapped)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return swapped ? bswap_32(v) : v;
}

static uint16_t get_u16(const uint8_t *at, bool swapped)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return swapped ? bswap_16(v) : v;
}

static uint64_t get_u64(const uint8_t *at, bool swapped)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return swapped ? bswap_64(v) : v;
}

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static bool part__skip(struct part *p, size_t n)
{
	if (n > p->size)
		return false;
	p->at += n;
	p->size -= n;
	return true;
}

/* False at the end, whether said or cut. */
static bool part__option(struct part *p, struct option *o)
{
	if (p->size < 4)
		return false;
	o->code = get_u16(p->at, p->swapped);
	o->length = get_u16(p->at + 2, p->swapped);
	o->value = p->at + 4;
	return o->code && part__skip(p, 4) && o->length <= p->size &&
	       part__skip(p, padded(o->length) < p->size ? padded(o->length) : p->size);
}

/* ---- blocks ---- */

static void note__take(struct pcapng_note *n, const struct option *o, bool swapped)
{
	if (o->code == PCAPNG_EPB_FLAGS && o->length == 4) {
		n->flags = get_u32(o->value, swapped);
	} else if (o->code == PCAPNG_EPB_PROCESS && o->length == 8) {
		n->pid = get_u32(o->value, swapped);
	} else if (o->code == PCAPNG_COMMENT && !n->comment && o->length >= 4 &&
		   !memcmp(o->value, "pid=", 4)) {
		n->comment = (const char *)o->value;
		n->comment_length = o->length;
	}
}

static void on_packet(struct pcapng_reader *r, struct part p)
{
	struct pcapng_note note = {};
	struct option o;
	uint32_t caplen;

	if (p.size < 20)
		return;
	caplen = get_u32(p.at + 12, r->swapped);
	note.length = get_u32(p.at + 16, r->swapped);
	if (part__skip(&p, 20) && part__skip(&p, caplen) && part__skip(&p, padded(caplen) - caplen))
		while (part__option(&p, &o))
			note__take(&note, &o, r->swapped);
	r->listener.packet(r->listener.to, &note);
}

/* Kinds without options of interest: counted, so that the others keep their place. */
static void on_other_packet(struct pcapng_reader *r, struct part p, size_t length_at)
{
	struct pcapng_note note = {};

	if (p.size < length_at + 4)
		return;
	note.length = get_u32(p.at + length_at, r->swapped);
	r->listener.packet(r->listener.to, &note);
}

struct texts {
	char name[TEXT_MOST + 1], exe[TEXT_MOST + 1], user[TEXT_MOST + 1];
};

static const char *take_text(char *to, const struct option *o)
{
	size_t n = o->length < TEXT_MOST ? o->length : TEXT_MOST;

	memcpy(to, o->value, n);
	to[n] = 0;
	return to;
}

static void process__take(struct pcapng_process *p, struct texts *t, const struct option *o,
			  bool swapped)
{
	if (o->code == PCAPNG_PROCESS_NAME)
		p->name = take_text(t->name, o);
	else if (o->code == PCAPNG_PROCESS_PATH)
		p->exe = take_text(t->exe, o);
	else if (o->code == PCAPNG_PROCESS_USER)
		p->user = take_text(t->user, o);
	else if (o->code == PCAPNG_PROCESS_PARENT && o->length == 4)
		p->parent = get_u32(o->value, swapped);
	else if (o->code == PCAPNG_PROCESS_UID && o->length == 4)
		p->uid = get_u32(o->value, swapped);
	else if (o->code == PCAPNG_PROCESS_START && o->length == 8)
		p->start = get_u64(o->value, swapped);
}

/* What stands behind the enterprise's number is little-endian in every section. */
static void on_custom(struct pcapng_reader *r, struct part p)
{
	const bool swapped = __BYTE_ORDER == __BIG_ENDIAN;
	struct pcapng_process process = {};
	struct texts texts;
	struct option o;
	uint32_t length;

	if (p.size < 16 || get_u32(p.at, r->swapped) != PCAPNG_PEN_WIRESHARK ||
	    get_u32(p.at + 4, swapped) != PCAPNG_ENTRY_PROCESS)
		return;
	length = get_u32(p.at + 8, swapped);
	process.pid = get_u32(p.at + 12, swapped);
	if (!process.pid || length < 4 || length > p.size - 12)
		return;
	p = (struct part){ p.at + 16, length - 4, swapped };
	while (part__option(&p, &o))
		process__take(&process, &texts, &o, swapped);
	r->listener.process(r->listener.to, &process);
}

static void on_block(struct pcapng_reader *r, uint32_t type, struct part body)
{
	switch (type) {
	case BLOCK_PACKET:
		on_packet(r, body);
		break;
	case BLOCK_PACKET_OLD:
		on_other_packet(r, body, 16);
		break;
	case BLOCK_PACKET_SIMPLE:
		on_other_packet(r, body, 0);
		break;
	case BLOCK_CUSTOM:
		on_custom(r, body);
		break;
	}
}

/* ---- from bytes to blocks ---- */

/* How many bytes must be there before more can be told: a section says its byte order first. 0: no pcapng. */
static size_t wanted(struct pcapng_reader *r)
{
	uint32_t size;

	if (r->have < BLOCK_LEAST)
		return BLOCK_LEAST;
	if (get_u32(r->block, false) == BLOCK_SECTION) {
		r->swapped = get_u32(r->block + 8, false) != MAGIC;
		if (get_u32(r->block + 8, r->swapped) != MAGIC)
			return 0;
		r->begun = true;
	}
	size = get_u32(r->block + 4, r->swapped);
	return r->begun && size >= BLOCK_LEAST && size <= BLOCK_MOST ? padded(size) : 0;
}

static int make_room(struct pcapng_reader *r, size_t size)
{
	size_t room = r->room ? r->room : 4096;
	uint8_t *block;

	while (room < size)
		room *= 2;
	if (room == r->room)
		return 0;
	block = realloc(r->block, room);
	if (!block)
		return -ENOMEM;
	r->block = block;
	r->room = room;
	return 0;
}

/* Takes what is there of `want` bytes; memory grows with what really comes, never with what a length promises. */
static size_t take(struct pcapng_reader *r, const uint8_t *at, size_t n, size_t want)
{
	size_t part = want - r->have < n ? want - r->have : n;

	if (make_room(r, r->have + part))
		return 0;
	memcpy(r->block + r->have, at, part);
	r->have += part;
	return part;
}

void pcapng_reader__feed(struct pcapng_reader *r, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;
	size_t want, took;

	while (n && !r->silent) {
		want = wanted(r);
		took = want ? take(r, at, n, want) : 0;
		if (!took) {
			r->silent = true;
			return;
		}
		at += took;
		n -= took;
		want = wanted(r);
		if (r->have < BLOCK_LEAST || r->have != want)
			continue;
		on_block(r, get_u32(r->block, r->swapped),
			 (struct part){ r->block + 8, want - BLOCK_LEAST, r->swapped });
		r->have = 0;
	}
}

int pcapng_reader__open(struct pcapng_reader **out, const struct pcapng_listener *listener)
{
	struct pcapng_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->listener = *listener;
	*out = r;
	return 0;
}

void pcapng_reader__close(struct pcapng_reader *r)
{
	if (!r)
		return;
	free(r->block);
	free(r);
}
