// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "checksum.h"

#include <string.h>
#include "xdp/parse.h"

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Halves of 64-bit words, each in a sum of its own with room for four billion carries. */
uint16_t checksum__sum(const uint8_t *data, uint32_t size, uint64_t start)
{
	uint64_t low[2] = { start & 0xffffffff, start >> 32 }, high[2] = {}, rest = 0;

	for (; size >= 16; data += 16, size -= 16) {
		uint64_t a = parse_load64(data), b = parse_load64(data + 8);

		low[0] += a & 0xffffffff;
		high[0] += a >> 32;
		low[1] += b & 0xffffffff;
		high[1] += b >> 32;
	}
	if (size >= 8) {
		low[0] += parse_load32(data);
		high[0] += parse_load32(data + 4);
		data += 8;
		size -= 8;
	}
	memcpy(&rest, data, size);
	low[1] += rest & 0xffffffff;
	high[1] += rest >> 32;
	return fold(low[0] + low[1] + high[0] + high[1]);
}

/* Where the TCP or UDP part of a frame is, and what its pseudo-header adds up to. */
struct segment {
	uint8_t *at;
	uint32_t size;
	uint8_t *field;
	uint16_t pseudo;
	bool udp;
};

static uint32_t load_be16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* The first fragment of several: its checksum covers bytes that are elsewhere. */
static bool is_first_fragment(const uint8_t *ip, const uint8_t *l4, bool ip4)
{
	const uint8_t *at = ip + 40;
	uint8_t next = ip[6];

	if (ip4)
		return ip[6] & 0x20;
	while (at < l4) {
		const struct parse_ext *ext = &parse_ext[parse_ext_kind[next] & 3];

		if (next == 44 && at[3] & 1)
			return true;
		next = at[0];
		at += ((at[1] & ext->mask) + ext->add) << ext->shift;
	}
	return false;
}

/* Both addresses, protocol and length: RFC 9293 3.1, RFC 8200 8.1. */
static uint16_t sum_pseudo(const uint8_t *ip, bool ip4, uint8_t proto, uint32_t size)
{
	const uint8_t tail[8] = { size >> 24, size >> 16, size >> 8, size, 0, 0, 0, proto };
	uint16_t addresses = ip4 ? checksum__sum(ip + 12, 8, 0) : checksum__sum(ip + 8, 32, 0);

	return checksum__sum(tail, sizeof(tail), addresses);
}

static bool find_segment(uint8_t *frame, uint32_t length, struct segment *s)
{
	struct parsed p;
	uint8_t *ip, proto;
	uint32_t packet;
	bool ip4;

	if (parse__frame(frame, frame + length, -1, 0, &p) != REASON_FLOW)
		return false;
	ip = frame + 14 + 4 * p.tags;
	ip4 = p.flow.key.family == 4;
	proto = p.flow.key.proto;
	packet = ip4 ? load_be16(ip + 2) : 40 + load_be16(ip + 4);
	s->at = frame + p.l4;
	s->udp = proto == PARSE_IP_UDP;
	if (ip + packet > frame + length || is_first_fragment(ip, s->at, ip4))
		return false;
	if (ip + packet < s->at + (s->udp ? 8 : 20))
		return false;
	s->size = ip + packet - s->at;
	s->field = s->at + (s->udp ? 6 : 16);
	s->pseudo = sum_pseudo(ip, ip4, proto, s->size);
	return !s->udp || load_be16(s->at + 4) == s->size;
}

/*
 * The cheap question first: most frames do not hold the bare pseudo-header's sum. For one that does, a payload that adds
 * up to its right sum is completed to the very same value.
 */
bool checksum__complete(uint8_t *frame, uint32_t length)
{
	struct segment s;
	uint16_t sum;

	if (!find_segment(frame, length, &s) || parse_load16(s.field) != s.pseudo)
		return false;
	/* With the field itself, the pseudo-header is in the sum already. */
	sum = ~checksum__sum(s.at, s.size, 0);
	if (!sum && s.udp)
		sum = 0xffff; /* 0 says: no checksum */
	if (sum == s.pseudo)
		return false;
	memcpy(s.field, &sum, sizeof(sum));
	return true;
}
