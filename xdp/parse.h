/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PARSE_H
#define WIREWHO_PARSE_H
/*
 * Frame -> flow key, or the named reason why there is none. No BPF helper inside: the same text is compiled
 * into the XDP program, the tc program, `wirewho read`, the unit tests and the fuzzer, so all agree.
 *
 * Walks Ethernet, at most two VLAN tags (0x8100, 0x88a8, 0x9100), IPv4 with options (RFC 791) or IPv6 (RFC 8200)
 * with at most eight extension headers, then TCP (RFC 9293) or UDP (RFC 768) ports. Tunnels count as their outer
 * packet. Only bytes in [data, end) are read, each behind its own bounds check.
 */
#include "flow.h"

#define PARSE_VLANS 2
#define PARSE_EXTS 8
/* How much of a frame a caller with scattered data has to put in one piece when the headers seem to be cut short. */
#define PARSE_REACH 4096

#if defined(__bpf__)
#define parse_inline static __attribute__((always_inline)) inline
/* The verifier knows packet pointers may be unaligned; memcpy would be split into single bytes here. */
#define parse_load64(p) (*(const __u64 *)(p))
#define parse_load32(p) (*(const __u32 *)(p))
#define parse_load16(p) (*(const __u16 *)(p))
#else
#define parse_inline static inline
parse_inline __u64 parse_load64(const void *p)
{
	__u64 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

parse_inline __u32 parse_load32(const void *p)
{
	__u32 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

parse_inline __u16 parse_load16(const void *p)
{
	__u16 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define parse_htons(x) ((__u16)((((x)&0xff) << 8) | (((x) >> 8) & 0xff)))
/* Words of a flow key put together in registers, lowest address first. */
#define PARSE_MAPPED(addr) (0xffff0000ULL | ((__u64)(addr) << 32))
#define PARSE_TAIL(ports, proto, family, link) \
	((__u64)(ports) | ((__u64)(proto) << 32) | ((__u64)(family) << 40) | ((__u64)(link) << 48))
#else
#define parse_htons(x) ((__u16)(x))
#define PARSE_MAPPED(addr) (0x0000ffff00000000ULL | (__u64)(addr))
#define PARSE_TAIL(ports, proto, family, link) \
	(((__u64)(ports) << 32) | ((__u64)(proto) << 24) | ((__u64)(family) << 16) | (__u64)(link))
#endif

/* A flow out of the two words that an IPv4 slot keeps of it. */
parse_inline void parse__flow4(union flow_words *to, __u64 addr, __u64 rest)
{
	to->word[0] = to->word[2] = 0;
	to->word[1] = PARSE_MAPPED(SLOT4_SOURCE(addr));
	to->word[3] = PARSE_MAPPED(SLOT4_DESTINATION(addr));
	to->word[4] = rest;
}

enum {
	PARSE_ETH_IP4 = 0x0800,
	PARSE_ETH_ARP = 0x0806,
	PARSE_ETH_IP6 = 0x86dd,
	PARSE_IP_ICMP = 1,
	PARSE_IP_TCP = 6,
	PARSE_IP_UDP = 17,
	PARSE_IP_ICMP6 = 58,
};

/* What the parser found. `flow` is whole only when the reason is REASON_FLOW. */
struct parsed {
	union flow_words flow;
	__u16 vlan;    /* outer VLAN id, 0 if none */
	__u16 l4;      /* offset of the TCP or UDP header from the start of the frame */
	__u16 headers; /* bytes before the payload: what GSO repeats in each segment */
	__u8 tags;     /* VLAN tags walked */
	__u8 marks;    /* enum flow_mark */
};

/* Would more bytes of the frame have helped? */
parse_inline int parse__is_short(enum reason why)
{
	return why == REASON_ETH_SHORT || why == REASON_VLAN_SHORT || why == REASON_IP4_SHORT ||
	       why == REASON_IP6_SHORT || why == REASON_IP6_EXT_SHORT || why == REASON_L4_SHORT;
}

parse_inline int parse__is_vlan(__u16 type)
{
	return type == parse_htons(0x8100) || type == parse_htons(0x88a8) ||
	       type == parse_htons(0x9100);
}

parse_inline __u8 parse__tcp_marks(__u8 flags)
{
	__u8 marks = 0;

	if (flags & 0x02)
		marks = flags & 0x10 ? FLOW_SYNACK : FLOW_SYN;
	if (flags & 0x01)
		marks |= FLOW_FIN;
	if (flags & 0x04)
		marks |= FLOW_RST;
	return marks;
}

/* TCP: flags and header length where they are there to read; a cut TCP header still has its ports. */
parse_inline void parse__tcp(const __u8 *at, const __u8 *end, struct parsed *p)
{
	if (at + 14 > end)
		return;
	p->headers = p->l4 + ((at[12] >> 4) << 2);
	p->marks = parse__tcp_marks(at[13]);
}

parse_inline enum reason parse__ports(const __u8 *data, const __u8 *at, const __u8 *end, __u8 proto,
				      __u8 family, __u16 link, struct parsed *p)
{
	if (proto != PARSE_IP_TCP && proto != PARSE_IP_UDP)
		return proto == (family == 4 ? PARSE_IP_ICMP : PARSE_IP_ICMP6) ? REASON_ICMP
									       : REASON_OTHER_L4;
	if (at + 4 > end)
		return REASON_L4_SHORT;
	p->flow.word[4] = PARSE_TAIL(parse_load32(at), proto, family, link);
	p->l4 = at - data;
	p->headers = p->l4 + 8;
	if (proto == PARSE_IP_TCP)
		parse__tcp(at, end, p);
	return REASON_FLOW;
}

parse_inline enum reason parse__ip4(const __u8 *data, const __u8 *at, const __u8 *end, __u16 link,
				    struct parsed *p)
{
	__u32 ihl;

	if (at + 20 > end)
		return REASON_IP4_SHORT;
	if (at[0] >> 4 != 4)
		return REASON_IP4_VERSION;
	ihl = (at[0] & 15) * 4;
	if (ihl < 20)
		return REASON_IP4_IHL;
	if (at + ihl > end)
		return REASON_IP4_SHORT;
	if (parse_load16(at + 6) & parse_htons(0x1fff))
		return REASON_FRAGMENT;
	p->flow.word[0] = 0;
	p->flow.word[1] = PARSE_MAPPED(parse_load32(at + 12));
	p->flow.word[2] = 0;
	p->flow.word[3] = PARSE_MAPPED(parse_load32(at + 16));
	return parse__ports(data, at + ihl, end, at[9], 4, link, p);
}

/*
 * How an IPv6 extension header is stepped over: (length byte under `mask`, plus `add`) << `shift` bytes; offset bits
 * under `fragment` mean a fragment other than the first. By table and not by branch, so that the verifier has one
 * path through each step.
 */
struct parse_ext {
	__u8 mask, add, shift;
	__u8 is; /* 0: not an extension header */
	__u16 fragment;
};

enum { PARSE_EXT_NOT, PARSE_EXT_OPTION, PARSE_EXT_FRAGMENT, PARSE_EXT_AUTH };

static const struct parse_ext parse_ext[4] = {
	[PARSE_EXT_OPTION] = { .mask = 255, .add = 1, .shift = 3, .is = 1 },
	[PARSE_EXT_FRAGMENT] = { .mask = 0, .add = 1, .shift = 3, .is = 1, .fragment = 0xfff8 },
	[PARSE_EXT_AUTH] = { .mask = 255,
			     .add = 2,
			     .shift = 2,
			     .is = 1 }, /* RFC 4302: 4-byte units */
};

static const __u8 parse_ext_kind[256] = {
	[0] = PARSE_EXT_OPTION,    /* hop-by-hop */
	[43] = PARSE_EXT_OPTION,   /* routing */
	[44] = PARSE_EXT_FRAGMENT, /* RFC 8200 4.5: byte 1 is reserved, not a length */
	[51] = PARSE_EXT_AUTH,     [60] = PARSE_EXT_OPTION, /* destination options */
	[135] = PARSE_EXT_OPTION,                           /* mobility */
};

parse_inline enum reason parse__ip6_ext(const __u8 *data, const __u8 *at, const __u8 *end,
					__u8 next, __u16 link, struct parsed *p)
{
	const struct parse_ext *ext = &parse_ext[parse_ext_kind[next] & 3];
	int i;

	for (i = 0; i < PARSE_EXTS && ext->is; i++) {
		if (at + 8 > end)
			return REASON_IP6_EXT_SHORT;
		if (parse_load16(at + 2) & parse_htons(ext->fragment))
			return REASON_FRAGMENT;
		next = at[0];
		at += (((at[1] & ext->mask) + ext->add) << ext->shift) &
		      0xffc; /* 8..2048, bounded */
		ext = &parse_ext[parse_ext_kind[next] & 3];
	}
	if (ext->is)
		return REASON_IP6_EXT_DEEP;
	return parse__ports(data, at, end, next, 6, link, p);
}

parse_inline enum reason parse__ip6(const __u8 *data, const __u8 *at, const __u8 *end, __u16 link,
				    struct parsed *p)
{
	if (at + 40 > end)
		return REASON_IP6_SHORT;
	if (at[0] >> 4 != 6)
		return REASON_IP6_VERSION;
	p->flow.word[0] = parse_load64(at + 8);
	p->flow.word[1] = parse_load64(at + 16);
	p->flow.word[2] = parse_load64(at + 24);
	p->flow.word[3] = parse_load64(at + 32);
	return parse__ip6_ext(data, at + 40, end, at[6], link, p);
}

/* From the network header on: `type` is the EtherType in network order. */
parse_inline enum reason parse__network(const void *data, const void *network, const void *end,
					__be16 type, __u16 link, struct parsed *p)
{
	p->marks = 0;
	if (type == parse_htons(PARSE_ETH_IP4))
		return parse__ip4(data, network, end, link, p);
	if (type == parse_htons(PARSE_ETH_IP6))
		return parse__ip6(data, network, end, link, p);
	if (type == parse_htons(PARSE_ETH_ARP))
		return REASON_ARP;
	return parse__is_vlan(type) ? REASON_VLAN_DEEP : REASON_NOT_IP;
}

/*
 * Tags in the frame, after `type` was read in front of `at`. `tags` is what was found before (1 if the outer tag
 * travelled in metadata, as it does at tc), so that all paths agree on "at most two".
 */
parse_inline enum reason parse__tagged(const void *data, const __u8 *at, const __u8 *end,
				       __u16 type, __u8 tags, __u16 link, struct parsed *p)
{
	int i;

	for (i = 0; i < PARSE_VLANS && tags < PARSE_VLANS && parse__is_vlan(type); i++) {
		if (at + 4 > end)
			return REASON_VLAN_SHORT;
		if (!tags)
			p->vlan = parse_htons(parse_load16(at)) & 0x0fff;
		type = parse_load16(at + 2);
		at += 4;
		tags++;
	}
	p->tags = tags;
	return parse__network(data, at, end, type, link, p);
}

/*
 * A whole Ethernet frame. `outer` is the VLAN id of a tag carried beside the frame, or -1 without one; `link` goes
 * into the key unchanged.
 */
parse_inline enum reason parse__frame(const void *data, const void *end, int outer, __u16 link,
				      struct parsed *p)
{
	const __u8 *at = data;

	p->vlan = outer < 0 ? 0 : outer & 0x0fff;
	p->tags = outer >= 0;
	p->marks = 0;
	if ((const void *)(at + 14) > end)
		return REASON_ETH_SHORT;
	if (parse_load16(at + 12) ==
	    parse_htons(PARSE_ETH_IP4)) /* most frames: no tag to look for */
		return parse__ip4(data, at + 14, end, link, p);
	return parse__tagged(data, at + 14, end, parse_load16(at + 12), outer >= 0, link, p);
}

/*
 * The plain shape of most frames: no tag, IPv4 without options, whole or a first fragment, TCP or UDP. All that counting
 * needs of it stands at fixed places, under one bounds check. What it takes it reads as parse__frame() does; what it
 * does not take is not wrong, only not plain.
 */
struct plain4 {
	__u64 addr, rest; /* as in struct slot4 */
	__u8 marks;
};
#define PARSE_PLAIN4 48 /* up to the TCP flags */

parse_inline int parse__plain4(const void *data, const void *end, __u16 link, struct plain4 *p)
{
	const __u8 *at = data;
	__u8 proto;

	if ((const void *)(at + PARSE_PLAIN4) > end)
		return 0;
	if (parse_load16(at + 12) != parse_htons(PARSE_ETH_IP4) || at[14] != 0x45)
		return 0;
	if (parse_load16(at + 20) & parse_htons(0x1fff))
		return 0;
	proto = at[23];
	p->marks = 0;
	if (proto == PARSE_IP_TCP && (at[47] & 0x07))
		p->marks = parse__tcp_marks(at[47]);
	else if (proto != PARSE_IP_TCP && proto != PARSE_IP_UDP)
		return 0;
	p->addr = parse_load64(at + 26);
	p->rest = PARSE_TAIL(parse_load32(at + 34), proto, 4, link);
	return 1;
}

/* A packet without link header (tun, WireGuard, raw captures): the version nibble tells. */
parse_inline enum reason parse__raw(const void *data, const void *end, __u16 link, struct parsed *p)
{
	const __u8 *at = data;

	p->vlan = 0;
	p->tags = 0;
	p->marks = 0;
	if (at + 1 > (const __u8 *)end)
		return REASON_ETH_SHORT;
	if (at[0] >> 4 == 4)
		return parse__ip4(data, at, end, link, p);
	if (at[0] >> 4 == 6)
		return parse__ip6(data, at, end, link, p);
	return REASON_NOT_IP;
}
#endif
