// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pcapng.h"

#include <string.h>

enum { BLOCK_SECTION = 0x0A0D0D0A, BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6 };

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

static struct block packet__block(const struct pcapng_packet *p, struct packet_body *body)
{
	*body = (struct packet_body){ .interface = p->interface,
				      .time = pcapng__time(p->time),
				      .caplen = p->caplen,
				      .length = p->length };
	return (struct block){ .type = BLOCK_PACKET,
			       .body = body,
			       .body_size = sizeof(*body),
			       .data = p->data,
			       .data_size = p->caplen,
			       .options = p->options };
}

size_t pcapng__packet(void *to, size_t room, const struct pcapng_packet *p)
{
	struct packet_body body;
	struct block block = packet__block(p, &body);

	return block__put(to, room, &block);
}

size_t pcapng__packet_size(const struct pcapng_packet *p)
{
	struct packet_body body;
	struct block block = packet__block(p, &body);

	return block__size(&block);
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

uint32_t pcapng__block_size(const void *block)
{
	uint32_t size;

	memcpy(&size, (const uint8_t *)block + 4, sizeof(size));
	return size;
}
