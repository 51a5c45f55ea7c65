// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any bytes as a frame, as a raw packet, and with a tag beside them: no byte beyond the end is read, the reason is one
 * that the parser has, a flow has a key and offsets that make sense, the tag beside the frame changes nothing, and a
 * frame that is cut is short or still what it was. What is plain is what it is without the short way.
 */
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "xdp/parse.h"

#define LINK 0xa5b6
#define CUTS 320 /* how far into a frame it is cut at every byte */
#define L4_MAX (14 + 4 * PARSE_VLANS + 40 + PARSE_EXTS * 2048)

enum way { FRAME, BESIDE, RAW, WAYS }; /* how the bytes are looked at */

/* `holds` is false: say what does not, and let the fuzzer keep the input. */
static void check(bool holds, const char *what, size_t size)
{
	if (holds)
		return;
	fprintf(stderr, "a frame of %zu bytes: %s\n", size, what);
	abort();
}

static bool is_short(enum reason why)
{
	return why == REASON_ETH_SHORT || why == REASON_VLAN_SHORT || why == REASON_IP4_SHORT ||
	       why == REASON_IP6_SHORT || why == REASON_IP6_EXT_SHORT || why == REASON_L4_SHORT;
}

/* What no parser says: it has to do with the table, the selection, or the capture. */
static bool is_ours_to_say(enum reason why)
{
	return why < REASON_N && why != REASON_OVERFLOWED && why != REASON_LOST &&
	       why != REASON_UNMATCHED && why != REASON_OTHER_LINK;
}

static bool is_mapped(const __u8 *address)
{
	return !memcmp(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
}

static void check_plain(const uint8_t *data, size_t size)
{
	union flow_words flow;
	struct plain4 plain;
	struct parsed p = { .marks = 0 };

	if (!parse__plain4(data, data + size, LINK, &plain))
		return;
	parse__flow4(&flow, plain.addr, plain.rest);
	check(parse__frame(data, data + size, -1, LINK, &p) == REASON_FLOW, "plain, but no flow",
	      size);
	check(!memcmp(&flow, &p.flow, sizeof(flow)) && plain.marks == p.marks,
	      "plain, but another flow", size);
}

static enum reason parse(enum way way, const uint8_t *data, size_t size, struct parsed *p)
{
	memset(p, 0xa5, sizeof(*p)); /* what the parser leaves out shows */
	if (way == RAW)
		return parse__raw(data, data + size, LINK, p);
	return parse__frame(data, data + size, way == BESIDE ? 0x6005 : -1, LINK, p);
}

static void check_flow(enum way way, const struct parsed *p, size_t size)
{
	const struct flow_key *k = &p->flow.key;
	unsigned link = way == RAW ? 0 : 14;

	check(k->family == 4 || k->family == 6, "the family is neither 4 nor 6", size);
	check(k->proto == PARSE_IP_TCP || k->proto == PARSE_IP_UDP, "neither TCP nor UDP", size);
	check(k->link == LINK, "the link is another", size);
	if (k->family == 4)
		check(is_mapped(k->saddr) && is_mapped(k->daddr), "an address is not IPv4", size);
	check(p->l4 >= link + (k->family == 4 ? 20 : 40), "ports within the IP header", size);
	check(p->l4 + 4u <= size && p->l4 <= L4_MAX, "ports beyond the end", size);
	check(p->headers >= p->l4 && p->headers <= p->l4 + 60u, "a length no header has", size);
	check(p->tags <= PARSE_VLANS && p->vlan < 4096, "a tag no frame has", size);
	check(k->proto == PARSE_IP_TCP || (!p->marks && p->headers == p->l4 + 8), "UDP with marks",
	      size);
	check(!(p->marks & ~(FLOW_SYN | FLOW_SYNACK | FLOW_FIN | FLOW_RST)), "unknown marks", size);
	check(way != BESIDE || (p->tags && (p->vlan == 5)), "the tag beside was forgotten", size);
}

static bool same(const struct parsed *a, const struct parsed *b)
{
	return !memcmp(&a->flow, &b->flow, sizeof(a->flow)) && a->l4 == b->l4 &&
	       a->vlan == b->vlan && a->tags == b->tags;
}

/* The frame cut at every byte; `data` lies at the end of what may be read, and the rest of it may not. */
static void check_cuts(enum way way, const uint8_t *data, size_t size)
{
	struct parsed whole, cut;
	enum reason why = parse(way, data, size, &whole), now;
	size_t n = size < CUTS ? size : CUTS;

	check(is_ours_to_say(why), "a reason that is not the parser's", size);
	if (why == REASON_FLOW)
		check_flow(way, &whole, size);
	ASAN_POISON_MEMORY_REGION(data + n, size - n);
	if (way == FRAME && n == size)
		check_plain(data, size);
	while (n--) {
		ASAN_POISON_MEMORY_REGION(data + n, size - n < 16 ? size - n : 16);
		now = parse(way, data, n, &cut);
		if (way == FRAME)
			check_plain(data, n);
		check(now == why || is_short(now), "cut, it is something else", size);
		if (now != REASON_FLOW)
			continue;
		check_flow(way, &cut, n);
		check(same(&cut, &whole), "cut, it is another flow", size);
	}
	ASAN_UNPOISON_MEMORY_REGION(data, size);
}

/* The same packet with its outer tag in the frame, as XDP sees it, and beside it, as tc does. */
static void check_beside(uint8_t *data, size_t size)
{
	struct parsed in, out;
	enum reason why = parse(FRAME, data, size, &in);
	uint8_t *rest;

	/* Not to be compared: half a type is short here as Ethernet, there as a tag. */
	if (size < 18 || !parse__is_vlan(parse_load16(data + 12)))
		return;
	rest = malloc(size - 4);
	memcpy(rest, data, 12);
	memcpy(rest + 12, data + 16, size - 16);
	memset(&out, 0xa5, sizeof(out));
	check(why == parse__frame(rest, rest + size - 4, data[14] << 8 | data[15], LINK, &out),
	      "another reason with the tag beside", size);
	free(rest);
	if (why != REASON_FLOW)
		return;
	out.l4 += 4;
	out.headers += 4;
	check(same(&in, &out) && in.headers == out.headers && in.marks == out.marks,
	      "another flow with the tag beside", size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room = (size + 7) &
		      ~7UL; /* memory is forbidden in eights: let them end where the frame does */
	uint8_t *memory = malloc(room + 8), *frame = memory + room - size;
	int way;

	memcpy(frame, data, size);
	ASAN_POISON_MEMORY_REGION(memory + room, 8);
	check_beside(frame, size);
	for (way = FRAME; way < WAYS; way++)
		check_cuts(way, frame, size);
	ASAN_UNPOISON_MEMORY_REGION(memory + room, 8);
	free(memory);
	return 0;
}
