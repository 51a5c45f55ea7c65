/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_FLOW_H
#define WIREWHO_FLOW_H
/*
 * The contract between the programs in the kernel and the aggregator in user space: what a flow is,
 * what a slot of the count table holds, and the name of every counter. Compiled into both sides, so it
 * includes linux/types.h only; every struct states its size, and holds no hidden padding.
 */
#include <linux/types.h>

#ifndef __cplusplus
#define flow_assert(cond, text) _Static_assert(cond, text)
#else
#define flow_assert(cond, text) static_assert(cond, text)
#endif

/* One direction of one conversation on one watched interface. Addresses and ports in network order. */
struct flow_key {
	__u8 saddr[16]; /* IPv4 as ::ffff:a.b.c.d */
	__u8 daddr[16];
	__be16 sport;
	__be16 dport;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 family; /* 4 or 6: the version on the wire, so a mapped address sent as IPv6 stays itself */
	__u16 link; /* which watched interface; numbered by user space from 0 */
};
flow_assert(sizeof(struct flow_key) == 40, "flow_key: map key without holes");

/* The same forty bytes as words: the parser builds them and the table compares them in registers. */
union flow_words {
	struct flow_key key;
	__u64 word[5];
};
flow_assert(sizeof(union flow_words) == sizeof(struct flow_key), "flow_words: same bytes");

/* TCP handshake marks seen in this direction; they tell which end opened the flow. */
enum flow_mark {
	FLOW_SYN = 1 << 0,    /* SYN without ACK: the source opened it */
	FLOW_SYNACK = 1 << 1, /* SYN with ACK: the destination opened it */
	FLOW_FIN = 1 << 2,
	FLOW_RST = 1 << 3,
};

struct count {
	__u64 packets;
	__u64 bytes; /* wire bytes: the whole frame, without FCS */
};

/*
 * A slot of the count table is the flow's words and this tail, written by one CPU only. IPv4 flows have slots of 32
 * bytes (two words: both addresses; ports, protocol, link), IPv6 flows slots of 64 (five words and one unused): half the
 * cache and half the TLB for most of the traffic. Counters wrap; user space takes differences, at every harvest, of
 * far less than their range. Reuse, and why it loses nothing, is told in table.h.
 */
struct slot_tail {
	__u32 packets;
	__u32 epoch; /* ctl.epoch at the last write; 0 in a slot never used */
	__u64 bytes; /* low 48 bits: wire bytes; then the claim's number (8), then enum flow_mark (8) */
};
flow_assert(sizeof(struct slot_tail) == 16, "slot_tail: no holes");

#define SLOT_BYTES_MASK ((1ULL << 48) - 1)
#define SLOT_CLAIM_SHIFT 48 /* +1 each time the slot is given to a flow */
#define SLOT_MARKS_SHIFT 56

struct slot4 {
	__u64 addr; /* source and destination address, as the two halves that differ in flow_words 1 and 3 */
	__u64 rest; /* flow_words 4 */
	struct slot_tail tail;
};
flow_assert(sizeof(struct slot4) == 32, "slot4: half a cache line");

struct slot6 {
	union flow_words flow;
	__u64 unused;
	struct slot_tail tail;
};
flow_assert(sizeof(struct slot6) == 64, "slot6: one cache line");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SLOT4_ADDR(f) (((f)->word[1] >> 32) | ((f)->word[3] & 0xffffffff00000000ULL))
#define SLOT4_SOURCE(addr) ((addr)&0xffffffffULL)
#define SLOT4_DESTINATION(addr) ((addr) >> 32)
#else
#define SLOT4_ADDR(f) (((f)->word[1] << 32) | ((f)->word[3] & 0xffffffffULL))
#define SLOT4_SOURCE(addr) ((addr) >> 32)
#define SLOT4_DESTINATION(addr) ((addr)&0xffffffffULL)
#endif

/*
 * A received packet is counted a few packets later, when its slot has come from memory: table.h tells why. Until then it
 * waits here, its words where a slot has them, in one of its CPU's two rings: that of the even or of the odd epochs.
 */
#define PENDING 16
#define RING (2 * PENDING) /* so that who leaves need not make room for who comes */

struct pending_tail {
	__u64 count; /* packets; above them (32) bytes: two stores in all, as each costs */
	__u64 place; /* the hash; above it (32) marks */
};
flow_assert(sizeof(struct pending_tail) == 16, "pending_tail: as long as a slot's");

struct pending4 {
	__u64 addr, rest;
	struct pending_tail tail;
};
flow_assert(sizeof(struct pending4) == 32, "pending4: no holes");

struct pending6 {
	union flow_words flow;
	__u64 unused;
	struct pending_tail tail;
};
flow_assert(sizeof(struct pending6) == 64, "pending6: one cache line");

/* The last PENDING of those that came are waiting, the others are counted. User space reads them, and sets came to 0. */
struct ring4 {
	struct pending4 entry[RING];
	__u64 came;
	__u64 unused[7];
};
flow_assert(sizeof(struct ring4) == 1088, "ring4: whole cache lines");

struct ring6 {
	struct pending6 entry[RING];
	__u64 came;
	__u64 unused[7];
};
flow_assert(sizeof(struct ring6) == 2112, "ring6: whole cache lines");

/* A packet that found no slot: one entry of an overflow ring. */
struct record {
	union flow_words flow;
	struct count count;
	__u64 marks;
};
flow_assert(sizeof(struct record) == 64, "record: one cache line");

/* In the claim log: a slot's number in its CPU's part of flows4, or with this bit of flows6. */
#define CLAIM_IP6 (1u << 31)

/* A flow's counters where the kernel's per-CPU hash is the table (`--table hash`). */
struct hash_count {
	struct count count;
	__u64 marks;
};

/* What user space tells the programs. One per table (direction), written by user space only. */
struct ctl {
	__u32 epoch; /* current harvest, from 2 upwards */
	__u32 free;  /* a slot whose epoch is <= free has been harvested and may be given away */
	__u32 later; /* 1: so many flows that packets wait for their slots; may change at any time */
	__u32 pad;
};
flow_assert(sizeof(struct ctl) == 16, "ctl");

/* Sizes and seeds of one table: constants of the load, so that verifier and JIT see immediates. */
struct table_size {
	__u32 mask4, mask6;  /* IPv4 and IPv6 slots a CPU - 1, powers of two - 1 */
	__u32 log_mask;      /* claim log entries a CPU - 1: room for all slots of both */
	__u32 overflow_mask; /* overflow records a CPU - 1 */
	__u64 seed[5];       /* random and odd: nobody outside can choose flows that collide */
	__u32 hash;          /* 1: the kernel's per-CPU hash instead of our table */
	__u32 pad;
};
flow_assert(sizeof(struct table_size) == 64, "table_size: no holes");

/* What one CPU tells user space of its own table, and the tail user space publishes back. */
struct cpu_state {
	__u64 begun;   /* claims begun; claims behind it is one half done */
	__u64 claims;  /* slots given away so far; the log holds their numbers */
	__u64 head;    /* overflow records written so far */
	__u64 matched; /* packets that --rate counts */
	__u64 own[4];  /* the program's line ends here */
	__u64 tail;    /* overflow records read so far: written by user space */
	__u64 reader[7];
};
flow_assert(sizeof(struct cpu_state) == 128, "cpu_state: a line for each writer");

/*
 * Why a frame was not counted as a flow. Each frame is in the flow table or under exactly one of these.
 *   X(enum suffix, name in every output, class (the coarse reason it belongs to), what it means)
 */
#define REASONS(X) \
	X(FLOW, "flow", "flow", "TCP or UDP: counted in the flow table") \
	X(OVERFLOWED, "overflowed", "flow", "no free slot: counted through the overflow ring") \
	X(LOST, "lost", "flow", "no free slot and the overflow ring full: known here only") \
	X(UNMATCHED, "unmatched", "flow", "TCP or UDP, but not what --match selects") \
	X(OTHER_LINK, "other_link", "other_link", "a link type this parser does not know") \
	X(ETH_SHORT, "eth_short", "malformed", "Ethernet header cut short") \
	X(VLAN_SHORT, "vlan_short", "malformed", "VLAN tag cut short") \
	X(ARP, "arp", "not_ip", "ARP") \
	X(VLAN_DEEP, "vlan_deep", "not_ip", "more than two VLAN tags") \
	X(NOT_IP, "not_ip", "not_ip", "neither IPv4 nor IPv6") \
	X(IP4_SHORT, "ip4_short", "malformed", "IPv4 header cut short") \
	X(IP4_VERSION, "ip4_version", "malformed", "EtherType says IPv4, the header does not") \
	X(IP4_IHL, "ip4_ihl", "malformed", "IPv4 header length below 20 bytes") \
	X(IP6_SHORT, "ip6_short", "malformed", "IPv6 header cut short") \
	X(IP6_VERSION, "ip6_version", "malformed", "EtherType says IPv6, the header does not") \
	X(IP6_EXT_SHORT, "ip6_ext_short", "malformed", "IPv6 extension header cut short") \
	X(IP6_EXT_DEEP, "ip6_ext_deep", "other_l4", "more than eight IPv6 extension headers") \
	X(FRAGMENT, "fragment", "fragment", "not the first fragment: it carries no ports") \
	X(L4_SHORT, "l4_short", "malformed", "TCP or UDP ports cut short") \
	X(ICMP, "icmp", "other_l4", "ICMP or ICMPv6") \
	X(OTHER_L4, "other_l4", "other_l4", "IP, but neither TCP nor UDP")

enum reason {
#define X(id, name, class, text) REASON_##id,
	REASONS(X)
#undef X
		REASON_N
};

/* What became of a frame that --match selected for sampling. */
#define SAMPLES(X) \
	X(REDIRECTED, "redirected", "handed to the AF_XDP socket of its queue") \
	X(NO_SOCKET, "no_socket", "no AF_XDP socket on its queue: passed") \
	X(NO_CREDIT, "no_credit", "the engine had no room: passed") \
	X(TOO_LONG, "too_long", "too long to be put back: passed") \
	X(COPIED, "copied", "a slice copied to the ring buffer, and passed") \
	X(COPY_LOST, "copy_lost", "ring buffer full: passed without a copy") \
	X(SKIPPED, "skipped", "not in the sample (--rate, --flow-rate): passed")

enum sample {
#define X(id, name, text) SAMPLE_##id,
	SAMPLES(X)
#undef X
		SAMPLE_N
};

/*
 * The ledger's lines of one CPU, one interface, one direction. reason[REASON_FLOW] stays 0 in the kernel:
 * user space fills it with what it harvested, so that "seen = sum of the rest" is a check and not a tautology.
 */
struct tally {
	struct count seen;
	struct count reason[REASON_N];
	struct count sample[SAMPLE_N];
};

/* How matched frames are sampled. */
enum sample_mode { SAMPLE_MODE_NONE, SAMPLE_MODE_TAP, SAMPLE_MODE_INLINE, SAMPLE_MODE_COPY };

/* What is sampled, as a constant of the load. */
struct sampling {
	__u32 mode;      /* enum sample_mode */
	__u32 rate;      /* one in so many matched packets; 0 and 1: all */
	__u32 flow_rate; /* one in so many flows, both directions of a flow alike; 0 and 1: all */
	__u32 most;      /* inline: longer frames cannot be put back */
	__u32 slice;     /* copy: bytes of a frame */
	__u32 pad;
};
flow_assert(sizeof(struct sampling) == 24, "sampling: no holes");

/*
 * Inline: how much the engine of one queue can take, and until when that holds. The program redirects while used < limit,
 * and until `until`: a reader that stopped costs a moment, and then nothing but passes; without the time, few packets at
 * a time would go on filling what room there is. Each side writes a cache line of its own.
 */
struct credit {
	__u64 limit; /* user space: frames taken back so far + room for more */
	__u64 until; /* user space: CLOCK_MONOTONIC ns */
	__u64 engine[6];
	__u64 used; /* the program: frames redirected so far */
	__u64 program[7];
};
flow_assert(sizeof(struct credit) == 128, "credit: a line for each writer");

/* Copy: what stands in front of a slice in the ring buffer. */
struct slice {
	__u64 time;   /* CLOCK_MONOTONIC, ns */
	__u32 length; /* wire bytes */
	__u32 caplen; /* bytes that follow and count; the record is as long as the longest slice */
	__u16 link;
	__u16 queue;
	__u32 pad;
	__u8 data[];
};
flow_assert(sizeof(struct slice) == 24, "slice: no holes");

/*
 * When redirected frames arrived, CLOCK_MONOTONIC ns: in an array for each queue, at the place in the socket's receive ring
 * (counted on from 0) of the first of them; the others stand behind it, and their places hold what was written a round before,
 * or 0. The program writes before the kernel knows whether there is room, so there are twice as many places as the ring may have.
 */
#define ARRIVALS 8192

/* Where the program cannot know that place: in front of the frame (XDP metadata), when the driver has room for it. */
struct frame_meta {
	__u64 time; /* CLOCK_MONOTONIC, ns: the moment of arrival */
	__u32 magic;
	__u32 length; /* wire bytes */
};
flow_assert(sizeof(struct frame_meta) == 16, "frame_meta: a multiple of 4, at most 32");
#define FRAME_META_MAGIC 0x77697265u

#define LINKS_MAX 64 /* watched interfaces in one run */

/* In the tables' keys the link is the lower half of `link`; the upper half is the flow's turn (turns.h), mostly 0. */
#define TURN_SHIFT 8
#define TURN_LAST 255
struct turn {
	__u32 number;
	__u32 n; /* so many since it was put in: before TURN_LAST a harvest must come */
};
#define TURNS_MAX \
	1024 /* flows that change hands between two harvests; of more, the round is nobody's */
#endif
