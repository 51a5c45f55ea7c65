// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pcapng.h"

#include <endian.h>
#include <string.h>

enum {
	BLOCK_SECTION = 0x0A0D0D0A,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_CUSTOM = 0xBAD, /* one that may be copied into other files */
};

#define FRAME 12              /* type and length in front of the body, length again behind it */
#define BLOCK_MAX (16u << 20) /* what Wireshark reads at most */

struct section_body {
	uint32_t magic;
	uint16_t major, minor;
	int64_t length;
};

struct interface_body {
	uint16_t link_type, reserved;
	uint32_t snaplen;
};

struct packet_body {
	uint32_t interface;
	struct pcapng_time time;
	uint32_t caplen, length;
};

struct statistics_body {
	uint32_t interface;
	struct pcapng_time time;
};

/* Fixed part of an entry in one of Wireshark's custom blocks; after the enterprise's number little-endian. */
struct custom_body {
	uint32_t enterprise, type, length;
};

/* A block's parts, in their order. */
struct block {
	uint32_t type;
	const void *body;
	size_t body_size; /* a multiple of 4 */
	const void *data;
	size_t data_size;
	struct pcapng_options options;
};

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static size_t options__size(struct pcapng_options o)
{
	size_t size = o.n ? 4 : 0; /* opt_endofopt, where there is anything to end */
	unsigned i;

	for (i = 0; i < o.n; i++)
		size += 4 + padded(o.item[i].length);
	return size;
}

static size_t block__size(const struct block *b)
{
	return FRAME + b->body_size + padded(b->data_size) + options__size(b->options);
}

static uint8_t *put(uint8_t *at, const void *value, size_t size)
{
	size_t pad = padded(size) - size;

	if (size)
		memcpy(at, value, size);
	memset(at + size, 0, pad);
	return at + size + pad;
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	return put(at, &value, sizeof(value));
}

static uint8_t *put_options(uint8_t *at, struct pcapng_options o)
{
	unsigned i;

	for (i = 0; i < o.n; i++) {
		uint16_t head[2] = { o.item[i].code, o.item[i].length };

		at = put(at, head, sizeof(head));
		at = put(at, o.item[i].value, o.item[i].length);
	}
	return o.n ? put_u32(at, 0) : at;
}

static size_t block__put(void *to, size_t room, const struct block *b)
{
	size_t size = block__size(b);
	uint8_t *at = to;

	if (size > room || size > BLOCK_MAX)
		return 0;
	at = put_u32(at, b->type);
	at = put_u32(at, size);
	at = put(at, b->body, b->body_size);
	at = put(at, b->data, b->data_size);
	at = put_options(at, b->options);
	put_u32(at, size);
	return size;
}

struct pcapng_option pcapng__text(uint16_t code, const char *text)
{
	size_t length = strlen(text);

	return (struct pcapng_option){ code, length < UINT16_MAX ? length : UINT16_MAX, text };
}

struct pcapng_time pcapng__time(uint64_t ns)
{
	return (struct pcapng_time){ ns >> 32, ns & UINT32_MAX };
}

size_t pcapng__section(void *to, size_t room, struct pcapng_options options)
{
	const struct section_body body = { .magic = 0x1A2B3C4D, .major = 1, .length = -1 };

	return block__put(to, room,
			  &(struct block){ .type = BLOCK_SECTION,
					   .body = &body,
					   .body_size = sizeof(body),
					   .options = options });
}

size_t pcapng__interface(void *to, size_t room, uint16_t link_type, uint32_t snaplen,
			 struct pcapng_options options)
{
	const struct interface_body body = { .link_type = link_type, .snaplen = snaplen };

	return block__put(to, room,
			  &(struct block){ .type = BLOCK_INTERFACE,
					   .body = &body,
					   .body_size = sizeof(body),
					   .options = options });
}

size_t pcapng__packet_size(const struct pcapng_packet *p)
{
	return FRAME + sizeof(struct packet_body) + padded(p->caplen) + options__size(p->options) +
	       p->encoded_size;
}

size_t pcapng__options(void *to, size_t room, struct pcapng_options options)
{
	size_t size = options__size(options);

	if (size > room)
		return 0;
	put_options(to, options);
	return size;
}

#define PACKET_HEAD 7 /* words in front of the data */

/* The block of which there are millions a second: written straight on. */
size_t pcapng__packet(void *to, size_t room, const struct pcapng_packet *p)
{
	const struct pcapng_time time = pcapng__time(p->time);
	size_t size = pcapng__packet_size(p);
	const uint32_t head[PACKET_HEAD] = { BLOCK_PACKET, size,      p->interface, time.high,
					     time.low,     p->caplen, p->length };
	uint8_t *at = to;

	if (size > room || size > BLOCK_MAX)
		return 0;
	memcpy(at, head, sizeof(head));
	at = put(at + sizeof(head), p->data, p->caplen);
	at = put_options(at, p->options);
	if (p->encoded_size)
		memcpy(at, p->encoded, p->encoded_size);
	put_u32(at + p->encoded_size, size);
	return size;
}

size_t pcapng__statistics(void *to, size_t room, uint32_t interface, uint64_t time,
			  struct pcapng_options options)
{
	const struct statistics_body body = { interface, pcapng__time(time) };

	return block__put(to, room,
			  &(struct block){ .type = BLOCK_STATISTICS,
					   .body = &body,
					   .body_size = sizeof(body),
					   .options = options });
}

struct pcapng_verdict pcapng__xdp_verdict(uint64_t action)
{
	struct pcapng_verdict v = { .type = PCAPNG_VERDICT_XDP };

	memcpy(v.action, &action, sizeof(v.action));
	return v;
}

/* ---- processes ---- */

/* Longer names than this say no more. */
#define NAME_MOST 4096
#define PROCESS_ROOM (4 * NAME_MOST)

struct entry {
	uint8_t *at;
	size_t size;
};

static void entry__put(struct entry *e, uint16_t code, const void *value, size_t length)
{
	const uint16_t head[2] = { htole16(code), htole16(length) };

	put(put(e->at + e->size, head, sizeof(head)), value, length);
	e->size += sizeof(head) + padded(length);
}

static void entry__put_text(struct entry *e, uint16_t code, const char *text)
{
	if (text && *text)
		entry__put(e, code, text, strnlen(text, NAME_MOST));
}

static void entry__put_u32(struct entry *e, uint16_t code, uint32_t value)
{
	value = htole32(value);
	entry__put(e, code, &value, sizeof(value));
}

static void entry__put_process(struct entry *e, const struct pcapng_process *p)
{
	const uint32_t pid = htole32(p->pid), end = 0;
	const uint64_t start = htole64(p->start);

	memcpy(e->at, &pid, sizeof(pid));
	e->size = sizeof(pid);
	entry__put_text(e, PCAPNG_PROCESS_NAME, p->name);
	entry__put_text(e, PCAPNG_PROCESS_PATH, p->exe);
	if (p->parent)
		entry__put_u32(e, PCAPNG_PROCESS_PARENT, p->parent);
	entry__put_u32(e, PCAPNG_PROCESS_UID, p->uid);
	entry__put_text(e, PCAPNG_PROCESS_USER, p->user);
	if (start)
		entry__put(e, PCAPNG_PROCESS_START, &start, sizeof(start));
	memcpy(e->at + e->size, &end, sizeof(end));
	e->size += sizeof(end);
}

size_t pcapng__process(void *to, size_t room, const struct pcapng_process *p)
{
	uint8_t bytes[PROCESS_ROOM];
	struct entry entry = { .at = bytes };
	struct custom_body body = { .enterprise = PCAPNG_PEN_WIRESHARK,
				    .type = htole32(PCAPNG_ENTRY_PROCESS) };

	entry__put_process(&entry, p);
	body.length = htole32(entry.size);
	return block__put(to, room,
			  &(struct block){ .type = BLOCK_CUSTOM,
					   .body = &body,
					   .body_size = sizeof(body),
					   .data = bytes,
					   .data_size = entry.size });
}

/* ---- blocks that are made ---- */

bool pcapng__is_packet(const void *block)
{
	uint32_t type;

	memcpy(&type, block, sizeof(type));
	return type == BLOCK_PACKET;
}

struct pcapng_packet pcapng__packet_at(const void *block)
{
	uint32_t head[PACKET_HEAD];
	struct pcapng_packet p;

	memcpy(head, block, sizeof(head));
	p = (struct pcapng_packet){ .interface = head[2],
				    .time = (uint64_t)head[3] << 32 | head[4],
				    .caplen = head[5],
				    .length = head[6],
				    .data = (const uint8_t *)block + sizeof(head) };
	p.encoded = (const uint8_t *)p.data + padded(p.caplen);
	p.encoded_size = head[1] - sizeof(head) - padded(p.caplen) - sizeof(uint32_t);
	return p;
}

uint32_t pcapng__block_size(const void *block)
{
	uint32_t size;

	memcpy(&size, (const uint8_t *)block + 4, sizeof(size));
	return size;
}
