// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The parser against frames made by hand. Each frame ends where a page ends, and the next page cannot be read: one
 * byte too far is a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "xdp/parse.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define LINK 3
#define FRAME_MAX 512

/* ---- frames, in hexadecimal ---- */

#define MACS "020000000001 020000000002 "
#define ETH4 MACS "0800 "
#define ETH6 MACS "86dd "
#define V4 "0a000001 0a000002 "
#define IP4(version_ihl, fragment, proto) \
	version_ihl "00 0000 0001 " fragment " 40 " proto " 0000 " V4
#define V6 "20010db8 00000000 00000000 00000001 20010db8 00000000 00000000 00000002 "
#define IP6(next) "60000000 0000 " next " 40 " V6
#define EXT(next) next " 00 0000 00000000 "
#define EXT16(next) next " 01 0000 00000000 0000000000000000 "
#define FRAG6(next, offset_more) \
	next " ff " offset_more " 00000001 " /* the second byte is reserved, no length */
#define AH(next) next " 04 0000 0000000000000000 000000000000000000000000 "
/* 40000 > 80 and 5353 > 53 */
#define TCP(length, flags) "9c40 0050 00000001 00000002 " length "0 " flags " ffff 0000 0000 "
#define UDP "14e9 0035 0008 0000 "
#define OPTIONS4 "01010101 01010101 01010101 "

static const struct given {
	const char *what, *hex;
	enum reason reason;
	uint16_t l4, headers; /* for REASON_FLOW, as all below */
	uint8_t marks;
	uint16_t vlan;
	uint8_t tags;
} frames[] = {
	{ "IPv4 TCP", ETH4 IP4("45", "0000", "06") TCP("5", "10"), REASON_FLOW, 34, 54, 0, 0, 0 },
	{ "IPv4 UDP", ETH4 IP4("45", "0000", "11") UDP, REASON_FLOW, 34, 42, 0, 0, 0 },
	{ "IPv4 UDP, not to be fragmented", ETH4 IP4("45", "4000", "11") UDP, REASON_FLOW, 34, 42,
	  0, 0, 0 },
	{ "IPv4 TCP, padded", ETH4 IP4("45", "0000", "06") TCP("5", "10") "00 00 00 00 00 00",
	  REASON_FLOW, 34, 54, 0, 0, 0 },
	{ "IPv4 with options, TCP with options",
	  ETH4 IP4("48", "0000", "06") OPTIONS4 TCP("8", "02") OPTIONS4, REASON_FLOW, 46, 78,
	  FLOW_SYN, 0, 0 },
	{ "IPv4, the longest header",
	  ETH4 IP4("4f", "0000", "11") OPTIONS4 OPTIONS4 OPTIONS4 "01010101" UDP, REASON_FLOW, 74,
	  82, 0, 0, 0 },
	{ "IPv4, first fragment", ETH4 IP4("45", "2000", "11") UDP, REASON_FLOW, 34, 42, 0, 0, 0 },
	{ "IPv6 TCP", ETH6 IP6("06") TCP("5", "12"), REASON_FLOW, 54, 74, FLOW_SYNACK, 0, 0 },
	{ "IPv6 UDP", ETH6 IP6("11") UDP, REASON_FLOW, 54, 62, 0, 0, 0 },
	{ "IPv6, hop-by-hop, routing, destination options",
	  ETH6 IP6("00") EXT("2b") EXT16("3c") EXT("06") TCP("5", "11"), REASON_FLOW, 86, 106,
	  FLOW_FIN, 0, 0 },
	{ "IPv6, mobility, AH", ETH6 IP6("87") EXT("33") AH("11") UDP, REASON_FLOW, 86, 94, 0, 0,
	  0 },
	{ "IPv6, first fragment", ETH6 IP6("2c") FRAG6("11", "0001") UDP, REASON_FLOW, 62, 70, 0, 0,
	  0 },
	{ "IPv6, atomic fragment", ETH6 IP6("2c") FRAG6("06", "0000") TCP("5", "14"), REASON_FLOW,
	  62, 82, FLOW_RST, 0, 0 },
	{ "IPv6, eight extension headers",
	  ETH6 IP6("00") EXT("3c") EXT("3c") EXT("3c") EXT("3c") EXT("3c") EXT("3c") EXT("3c")
		  EXT("11") UDP,
	  REASON_FLOW, 118, 126, 0, 0, 0 },
	{ "VLAN", MACS "8100 6005 0800" IP4("45", "0000", "06") TCP("5", "10"), REASON_FLOW, 38, 58,
	  0, 5, 1 },
	{ "VLAN 0", MACS "8100 e000 0800" IP4("45", "0000", "11") UDP, REASON_FLOW, 38, 46, 0, 0,
	  1 },
	{ "QinQ", MACS "88a8 0fff 8100 0001 86dd" IP6("06") TCP("6", "10") "01010101", REASON_FLOW,
	  62, 86, 0, 4095, 2 },
	{ "the older QinQ", MACS "9100 0002 9100 0003 0800" IP4("45", "0000", "11") UDP,
	  REASON_FLOW, 42, 50, 0, 2, 2 },
	{ "all flags", ETH4 IP4("45", "0000", "06") TCP("5", "ff"), REASON_FLOW, 34, 54,
	  FLOW_SYNACK | FLOW_FIN | FLOW_RST, 0, 0 },

	{ "nothing", "", REASON_ETH_SHORT, 0, 0, 0, 0, 0 },
	{ "half an Ethernet type", MACS "08", REASON_ETH_SHORT, 0, 0, 0, 0, 0 },
	{ "half a tag", MACS "8100 0005 08", REASON_VLAN_SHORT, 0, 0, 0, 0, 0 },
	{ "half a second tag", MACS "88a8 0005 8100 00", REASON_VLAN_SHORT, 0, 0, 0, 0, 0 },
	{ "three tags", MACS "88a8 0005 8100 0006 8100 0007 0800" IP4("45", "0000", "11") UDP,
	  REASON_VLAN_DEEP, 0, 0, 0, 0, 0 },
	{ "ARP", MACS "0806 0001 0800", REASON_ARP, 0, 0, 0, 0, 0 },
	{ "tagged ARP", MACS "8100 0001 0806", REASON_ARP, 0, 0, 0, 0, 0 },
	{ "LLDP", MACS "88cc 0000", REASON_NOT_IP, 0, 0, 0, 0, 0 },
	{ "MPLS", MACS "8847 00001140" IP4("45", "0000", "11") UDP, REASON_NOT_IP, 0, 0, 0, 0, 0 },
	{ "802.3 with a length", MACS "0026 4242 03", REASON_NOT_IP, 0, 0, 0, 0, 0 },
	{ "IPv4, half of it", ETH4 "45000000", REASON_IP4_SHORT, 0, 0, 0, 0, 0 },
	{ "IPv4, options cut", ETH4 IP4("46", "0000", "06") "0101", REASON_IP4_SHORT, 0, 0, 0, 0,
	  0 },
	{ "IPv6 as IPv4", ETH4 IP6("11") UDP, REASON_IP4_VERSION, 0, 0, 0, 0, 0 },
	{ "IPv4, header of 16", ETH4 IP4("44", "0000", "06") TCP("5", "10"), REASON_IP4_IHL, 0, 0,
	  0, 0, 0 },
	{ "IPv4, header of 0", ETH4 IP4("40", "0000", "11") UDP, REASON_IP4_IHL, 0, 0, 0, 0, 0 },
	{ "IPv4, later fragment", ETH4 IP4("45", "2001", "11") UDP, REASON_FRAGMENT, 0, 0, 0, 0,
	  0 },
	{ "IPv4, last fragment", ETH4 IP4("45", "1000", "06") TCP("5", "10"), REASON_FRAGMENT, 0, 0,
	  0, 0, 0 },
	{ "IPv4, later fragment of ICMP", ETH4 IP4("45", "0001", "01"), REASON_FRAGMENT, 0, 0, 0, 0,
	  0 },
	{ "IPv6, half of it", ETH6 "60000000 0000 11 40", REASON_IP6_SHORT, 0, 0, 0, 0, 0 },
	{ "IPv4 as IPv6", ETH6 IP4("45", "0000", "06") TCP("5", "10"), REASON_IP6_VERSION, 0, 0, 0,
	  0, 0 },
	{ "IPv6, half an extension header", ETH6 IP6("00") "11 00 0000", REASON_IP6_EXT_SHORT, 0, 0,
	  0, 0, 0 },
	{ "IPv6, extension header longer than the frame", ETH6 IP6("3c") "06 ff 0000 00000000" UDP,
	  REASON_L4_SHORT, 0, 0, 0, 0, 0 },
	{ "IPv6, one beyond the frame, then another", ETH6 IP6("3c") "3c 02 0000 00000000" UDP,
	  REASON_IP6_EXT_SHORT, 0, 0, 0, 0, 0 },
	{ "IPv6, nine extension headers",
	  ETH6 IP6("00") EXT("3c") EXT("3c") EXT("3c") EXT("3c") EXT("3c") EXT("3c") EXT("3c")
		  EXT("3c") EXT("11") UDP,
	  REASON_IP6_EXT_DEEP, 0, 0, 0, 0, 0 },
	{ "IPv6, later fragment", ETH6 IP6("2c") FRAG6("11", "0008") UDP, REASON_FRAGMENT, 0, 0, 0,
	  0, 0 },
	{ "TCP, half its ports", ETH4 IP4("45", "0000", "06") "9c4000", REASON_L4_SHORT, 0, 0, 0, 0,
	  0 },
	{ "UDP, nothing of it", ETH6 IP6("11"), REASON_L4_SHORT, 0, 0, 0, 0, 0 },
	{ "ICMP", ETH4 IP4("45", "0000", "01") "0800", REASON_ICMP, 0, 0, 0, 0, 0 },
	{ "ICMPv6", ETH6 IP6("00") EXT("3a") "8000", REASON_ICMP, 0, 0, 0, 0, 0 },
	{ "ICMPv6 in IPv4", ETH4 IP4("45", "0000", "3a"), REASON_OTHER_L4, 0, 0, 0, 0, 0 },
	{ "ICMP in IPv6", ETH6 IP6("01"), REASON_OTHER_L4, 0, 0, 0, 0, 0 },
	{ "SCTP", ETH4 IP4("45", "0000", "84") UDP, REASON_OTHER_L4, 0, 0, 0, 0, 0 },
	{ "ESP", ETH6 IP6("32") UDP, REASON_OTHER_L4, 0, 0, 0, 0, 0 },
	{ "no next header", ETH6 IP6("3b"), REASON_OTHER_L4, 0, 0, 0, 0, 0 },
};

/* What no parser says: it has to do with the table, the selection, or the capture. */
static const enum reason not_parsed[] = {
	REASON_OVERFLOWED,
	REASON_LOST,
	REASON_UNMATCHED,
	REASON_OTHER_LINK,
};

static size_t bytes_of(const char *hex, uint8_t to[FRAME_MAX])
{
	size_t n = 0;

	for (; *hex; hex++) {
		char two[3] = { hex[0], hex[0] == ' ' ? 0 : hex[1] };

		if (*hex == ' ')
			continue;
		assert_true(n < FRAME_MAX);
		to[n++] = strtoul(two, NULL, 16);
		hex++;
	}
	return n;
}

/* ---- the end of the readable world ---- */

static uint8_t *world_end;

static int make_world(void **state)
{
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			      -1, 0);

	(void)state;
	if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE))
		return -1;
	world_end = pages + page;
	return 0;
}

static enum reason parse_frame(const uint8_t *bytes, size_t n, int outer, struct parsed *p)
{
	memset(p, 0xa5, sizeof(*p)); /* what the parser leaves out shows */
	memcpy(world_end - n, bytes, n);
	return parse__frame(world_end - n, world_end, outer, LINK, p);
}

static enum reason parse_raw(const uint8_t *bytes, size_t n, struct parsed *p)
{
	memset(p, 0xa5, sizeof(*p));
	memcpy(world_end - n, bytes, n);
	return parse__raw(world_end - n, world_end, LINK, p);
}

static enum reason parse_hex(const char *hex, int outer, struct parsed *p)
{
	uint8_t bytes[FRAME_MAX];

	return parse_frame(bytes, bytes_of(hex, bytes), outer, p);
}

/* ---- the tests ---- */

/* The key that all frames above have, but for protocol and version. */
static void has_the_key(const struct parsed *p)
{
	static const uint8_t ends[2][2][16] = {
		{ "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1",
		  "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2" },
		{ "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1",
		  "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" },
	};
	const struct flow_key *k = &p->flow.key;

	assert_true(k->family == 4 || k->family == 6);
	assert_memory_equal(k->saddr, ends[k->family == 6][0], 16);
	assert_memory_equal(k->daddr, ends[k->family == 6][1], 16);
	assert_true(k->proto == 6 || k->proto == 17);
	assert_int_equal(ntohs(k->sport), k->proto == 6 ? 40000 : 5353);
	assert_int_equal(ntohs(k->dport), k->proto == 6 ? 80 : 53);
	assert_int_equal(k->link, LINK);
}

static bool is_as_given(const struct parsed *p, const struct given *g)
{
	return p->l4 == g->l4 && p->headers == g->headers && p->marks == g->marks &&
	       p->vlan == g->vlan && p->tags == g->tags;
}

static void finds_flows_and_reasons(void **state)
{
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		const struct given *g = &frames[i];
		enum reason why = parse_hex(g->hex, -1, &p);

		if (why != g->reason)
			fail_msg("%s: reason %d, not %d", g->what, why, g->reason);
		if (why != REASON_FLOW)
			continue;
		has_the_key(&p);
		if (!is_as_given(&p, g))
			fail_msg("%s: l4 %u, headers %u, marks %u, vlan %u, tags %u", g->what, p.l4,
				 p.headers, p.marks, p.vlan, p.tags);
	}
}

static void provokes_every_reason(void **state)
{
	bool provoked[REASON_N] = { false };

	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++)
		provoked[frames[i].reason] = true;
	for (size_t i = 0; i < COUNT(not_parsed); i++)
		provoked[not_parsed[i]] = !provoked[not_parsed[i]];
	for (int i = 0; i < REASON_N; i++)
		if (!provoked[i])
			fail_msg("no frame for reason %d", i);
}

static bool is_short(enum reason why)
{
	return why == REASON_ETH_SHORT || why == REASON_VLAN_SHORT || why == REASON_IP4_SHORT ||
	       why == REASON_IP6_SHORT || why == REASON_IP6_EXT_SHORT || why == REASON_L4_SHORT;
}

/* Cut anywhere, a frame is short or says what the whole one says. */
static void tells_when_it_is_cut(void **state)
{
	unsigned whole = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		const struct given *g = &frames[i];
		uint8_t bytes[FRAME_MAX];
		size_t all = bytes_of(g->hex, bytes);

		whole += g->reason == REASON_FLOW;
		for (size_t n = 0; n < all; n++) {
			struct parsed p;
			enum reason why = parse_frame(bytes, n, -1, &p);

			if (why != g->reason && !is_short(why))
				fail_msg("%s cut to %zu: reason %d", g->what, n, why);
			if (g->reason != REASON_FLOW)
				continue;
			if ((why == REASON_FLOW) != (n >= g->l4 + 4u))
				fail_msg("%s cut to %zu: reason %d", g->what, n, why);
			if (why != REASON_FLOW)
				continue;
			has_the_key(&p);
			if (p.flow.key.proto == 17 || n >= g->l4 + 14u)
				assert_true(is_as_given(&p, g));
			else
				assert_int_equal(p.marks, 0);
		}
	}
	assert_true(whole >= 12);
}

/* As short as Ethernet allows, and cut to anything below. */
static void takes_the_short_way_with_the_plain_ones(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		const struct given *g = &frames[i];
		uint8_t bytes[FRAME_MAX] = { 0 };
		size_t all = bytes_of(g->hex, bytes);

		for (size_t n = 0; n <= (all < 60 ? 60 : all); n++) {
			struct parsed p;
			union flow_words flow;
			struct plain4 plain;
			enum reason why = parse_frame(bytes, n, -1, &p);
			bool is_plain = parse__plain4(world_end - n, world_end, LINK, &plain);

			if (is_plain != (n >= PARSE_PLAIN4 && why == REASON_FLOW && !p.tags &&
					 p.flow.key.family == 4 && p.l4 == 34))
				fail_msg("%s, %zu bytes: plain %d", g->what, n, is_plain);
			if (!is_plain)
				continue;
			parse__flow4(&flow, plain.addr, plain.rest);
			assert_memory_equal(&flow, &p.flow, sizeof(flow));
			assert_int_equal(plain.marks, p.marks);
		}
	}
}

/* Without its link header, a packet is the same flow. */
static void reads_raw_packets(void **state)
{
	struct parsed framed, raw;

	(void)state;
	for (size_t i = 0; i < COUNT(frames); i++) {
		uint8_t bytes[FRAME_MAX];
		size_t all = bytes_of(frames[i].hex, bytes);

		if (frames[i].reason != REASON_FLOW || frames[i].tags)
			continue;
		assert_int_equal(parse_frame(bytes, all, -1, &framed), REASON_FLOW);
		for (size_t n = 0; n <= all - 14; n++) {
			enum reason why = parse_raw(bytes + 14, n, &raw);

			assert_true(why == REASON_FLOW || is_short(why));
		}
		assert_memory_equal(&raw.flow, &framed.flow, sizeof(raw.flow));
		assert_int_equal(raw.l4, framed.l4 - 14);
		assert_int_equal(raw.headers, framed.headers - 14);
		assert_int_equal(raw.marks, framed.marks);
		assert_int_equal(raw.vlan, 0);
		assert_int_equal(raw.tags, 0);
	}
	assert_int_equal(parse_raw((const uint8_t *)"", 0, &raw), REASON_ETH_SHORT);
	assert_int_equal(parse_raw((const uint8_t *)"\x50", 1, &raw), REASON_NOT_IP);
	assert_int_equal(parse_raw((const uint8_t *)"\x45", 1, &raw), REASON_IP4_SHORT);
	assert_int_equal(parse_raw((const uint8_t *)"\x60", 1, &raw), REASON_IP6_SHORT);
}

/* 256 units of 8 bytes, 257 of 4: what a length byte can say at most. */
static void steps_over_the_longest_headers(void **state)
{
	static const struct {
		const char *hex;
		size_t length;
	} cases[] = {
		{ ETH6 IP6("3c") "11 ff", 2048 },
		{ ETH6 IP6("33") "11 ff", 1028 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t bytes[54 + 2048 + 8] = { 0 };
		size_t at = 54 + cases[i].length;
		struct parsed p;

		bytes_of(cases[i].hex, bytes);
		bytes_of(UDP, bytes + at);
		assert_int_equal(parse_frame(bytes, at + 3, -1, &p), REASON_L4_SHORT);
		assert_int_equal(parse_frame(bytes, at + 8, -1, &p), REASON_FLOW);
		has_the_key(&p);
		assert_int_equal(p.l4, at);
		assert_int_equal(p.headers, at + 8);
	}
}

/* The same packet with its outer tag in the frame, as XDP sees it, and beside it, as tc does. */
static const char *const tags[][2] = {
	{ MACS "8100 6005 ", MACS },
	{ MACS "88a8 0005 8100 0007 ", MACS "8100 0007 " },
	{ MACS "88a8 0005 8100 0007 9100 0001 ", MACS "8100 0007 9100 0001 " },
	{ MACS "8100 0005 8100 0007 88", MACS "8100 0007 88" },
	{ MACS "8100 0005 8100 00", MACS "8100 00" },
};
static const char *const tagged[] = {
	"0800 " IP4("45", "0000", "06") TCP("5", "02"),
	"86dd " IP6("11") UDP,
	"0800 " IP4("45", "0010", "06") TCP("5", "02"),
	"0806 ",
	"0800 45",
	"88cc ",
	"",
};

static void agrees_on_tags_beside_the_frame(void **state)
{
	unsigned flows = 0, deep = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(tags) * COUNT(tagged); i++) {
		const char *const *tag = tags[i / COUNT(tagged)], *rest = tagged[i % COUNT(tagged)];
		char inside[2 * FRAME_MAX], beside[2 * FRAME_MAX];
		struct parsed a, b;
		enum reason why;

		snprintf(inside, sizeof(inside), "%s%s", tag[0], rest);
		snprintf(beside, sizeof(beside), "%s%s", tag[1], rest);
		why = parse_hex(inside, -1, &a);
		/* Not to be compared: half a type is short here as Ethernet, there as a tag. */
		if (strlen(beside) <= strlen(MACS) + 2)
			continue;
		if (parse_hex(beside, 0x6005, &b) != why)
			fail_msg("%s: reason %d, or another beside the frame", inside, why);
		flows += why == REASON_FLOW;
		deep += why == REASON_VLAN_DEEP;
		if (why != REASON_FLOW)
			continue;
		assert_memory_equal(&a.flow, &b.flow, sizeof(a.flow));
		assert_int_equal(b.vlan, 5);
		assert_int_equal(a.vlan, b.vlan);
		assert_int_equal(a.tags, b.tags);
		assert_int_equal(a.marks, b.marks);
		assert_int_equal(a.l4, b.l4 + 4);
		assert_int_equal(a.headers, b.headers + 4);
	}
	assert_int_equal(flows, 4);
	assert_true(deep >= 5);
}

/* Frames above with bytes changed, and noise: a reason, and no byte beyond the frame. */
static void survives_noise(void **state)
{
	static const uint8_t telling[] = { 0x00, 0x01, 0x04, 0x06, 0x08, 0x11, 0x2c, 0x2b, 0x33,
					   0x3c, 0x45, 0x4f, 0x60, 0x81, 0x86, 0x88, 0xa8, 0xff };
	unsigned seed = 1, flows = 0;

	(void)state;
	for (int round = 0; round < 300000; round++) {
		uint8_t bytes[FRAME_MAX];
		size_t n = bytes_of(frames[rand_r(&seed) % COUNT(frames)].hex, bytes);
		struct parsed p;
		enum reason why;

		for (int i = rand_r(&seed) % 6; n && i; i--)
			bytes[rand_r(&seed) % n] =
				rand_r(&seed) % 2 ? telling[rand_r(&seed) % sizeof(telling)]
						  : rand_r(&seed);
		n = rand_r(&seed) % (n + 1);
		why = parse_frame(bytes, n, (int)(rand_r(&seed) % 3) - 1, &p);
		assert_true(why < REASON_N);
		flows += why == REASON_FLOW;
		if (why == REASON_FLOW)
			assert_true(p.l4 + 4u <= n && p.tags <= PARSE_VLANS);
		why = parse_raw(bytes, n, &p);
		assert_true(why < REASON_N);
	}
	assert_true(flows > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_flows_and_reasons),
		cmocka_unit_test(provokes_every_reason),
		cmocka_unit_test(tells_when_it_is_cut),
		cmocka_unit_test(takes_the_short_way_with_the_plain_ones),
		cmocka_unit_test(reads_raw_packets),
		cmocka_unit_test(steps_over_the_longest_headers),
		cmocka_unit_test(agrees_on_tags_beside_the_frame),
		cmocka_unit_test(survives_noise),
	};

	return cmocka_run_group_tests_name("parse", tests, make_world, NULL);
}
