/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TABLE_H
#define WIREWHO_TABLE_H
/*
 * The count table, as the programs see it (user space reads it through harvest.h).
 *
 * One open-addressing table a CPU and a direction, in a mmapped array. Its only writer is the program on that CPU
 * (softirqs off, so it does not interrupt itself), its only reader user space: no lock, no atomic, and one cache line
 * for a packet of a known flow. No clock is read: time is the harvest's number, ctl.epoch.
 *
 * Reuse without loss. A slot is FREE when its epoch <= ctl.free, whatever it still holds. User space raises
 * ctl.epoch from k to k+1, waits for an RCU grace period (no program that read k is running any more), reads all live
 * slots, and only then publishes ctl.free <= k. So a slot that becomes free was read after its last write, and a free
 * slot is given away with fresh counters even to the flow that had it before. Each gift is a claim: it raises
 * the slot's claim number and writes the slot's number to a log, from which user space knows which slots to read at all.
 * A slot can be claimed once a harvest at most, so a log as long as the table never wraps unread.
 *
 * A key is searched in PROBES neighbouring slots. A slot never used (epoch 0) ends the search: nothing was ever
 * put beyond it. Where no slot is free, the packet becomes a record in this CPU's overflow ring (one producer, one
 * consumer); where that is full too, it is counted as lost, by packets and bytes.
 *
 * With very many flows (user space looks, and sets ctl.later) nearly each slot comes from memory, and a packet that
 * waits for memory holds up the next one. So table__later() counts the packet that came PENDING packets ago, and at
 * each PENDINGth packet loads a word of all their slots, so close behind each other that the processor fetches all
 * these lines at once. What is pending is never lost and never counted twice: there is a ring for even and one for odd
 * epochs, and once user space has raised the epoch and waited for a grace period, nobody is using the other ring any
 * more. What still waits there it takes itself.
 */
#include "flow.h"
#include "parse.h"
#include "turns.h"

#define TABLE_PROBES 16 /* at half full, 3 flows of 10 000 find no place; 8 would leave out 42 */

const volatile struct table_size table SEC(".rodata.table") = {};
struct ctl ctl SEC(".data.ctl") = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot4);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slot6);
} flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64); /* an array's elements are 8 bytes apart at least */
} claim_log SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} overflow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_state);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ring4);
} pending4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ring6);
} pending6 SEC(".maps");

/*
 * --table hash: the kernel's per-CPU hash, once for even and once for odd epochs. User space raises the epoch, waits
 * for a grace period, and empties the one that nobody writes any more: exact, at the price of the hash.
 */
struct hash_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct hash_count);
} hash_even SEC(".maps"), hash_odd SEC(".maps");

enum table_result { TABLE_KNOWN, TABLE_CLAIMED, TABLE_OVERFLOWED, TABLE_LOST };

/* One packet (or one GSO burst of them) to add. */
struct addition {
	const union flow_words *flow;
	struct count count;
	__u8 marks;
};

static __always_inline struct tally *table__tally(__u32 cpu, __u16 link)
{
	__u32 at = cpu * LINKS_MAX + link;

	return bpf_map_lookup_elem(&tallies, &at);
}

static __always_inline void count__add(struct count *to, const struct count *n)
{
	to->packets += n->packets;
	to->bytes += n->bytes;
}

/* A frame that is of no flow; the verifier does not know that the parser gives no other number. */
static __always_inline void tally__reason(struct tally *t, enum reason why, const struct count *n)
{
	if (why < REASON_N)
		count__add(&t->reason[why], n);
}

/*
 * A flow as its slot holds it: two words for IPv4, five for IPv6. All functions below are expanded with a constant
 * `words`, so each table gets code of its own.
 */
struct needle {
	__u64 word[5];
	__u32 place; /* its hash */
};

/*
 * Multilinear hash (each word by its own random odd factor: a short dependency chain), then one more round, because
 * neighbouring addresses and ports would otherwise stand at equal distances and fill some windows first.
 */
static __always_inline __u32 needle__place(const struct needle *n, int words)
{
	__u64 sum = n->word[0] * table.seed[0] + n->word[1] * table.seed[1];

	if (words == 5)
		sum += n->word[2] * table.seed[2] + n->word[3] * table.seed[3] +
		       n->word[4] * table.seed[4];
	return ((sum ^ (sum >> 32)) * table.seed[0]) >> 32;
}

static __always_inline struct needle needle__of(const union flow_words *flow, int words)
{
	const __u64 *w = flow->word;
	struct needle n = { .word = { w[0], w[1], w[2], w[3], w[4] } };

	if (words == 2) {
		n.word[0] = SLOT4_ADDR(flow);
		n.word[1] = w[4];
	}
	n.place = needle__place(&n, words);
	return n;
}

static __always_inline struct needle needle__plain4(const struct plain4 *p)
{
	struct needle n = { .word = { p->addr, p->rest } };

	n.place = needle__place(&n, 2);
	return n;
}

static __always_inline int needle__is(const struct needle *n, const __u64 *slot, int words)
{
	__u64 difference = (slot[0] ^ n->word[0]) | (slot[1] ^ n->word[1]);

	if (words == 5)
		difference |= (slot[2] ^ n->word[2]) | (slot[3] ^ n->word[3]) |
			      (slot[4] ^ n->word[4]);
	return !difference;
}

/* The tail stands after two words, or after five and one unused. */
static __always_inline struct slot_tail *slot__tail(__u64 *slot, int words)
{
	return (struct slot_tail *)(slot + (words == 5 ? 6 : 2));
}

static __always_inline void tail__add(struct slot_tail *t, const struct addition *a, __u32 epoch)
{
	__u64 old = t->bytes;

	t->packets += a->count.packets;
	t->bytes = ((old + a->count.bytes) & SLOT_BYTES_MASK) | (old & ~SLOT_BYTES_MASK) |
		   (__u64)a->marks << SLOT_MARKS_SHIFT;
	t->epoch = epoch;
}

/* An atomic whose result is used is a full barrier on every architecture (kernel: bpf atomics, BPF_FETCH). */
static __always_inline void table__publish(__u64 *counter)
{
	__u64 old = __sync_fetch_and_add(counter, 1);

	asm volatile("" ::"r"(old) : "memory");
}

static __always_inline void slot__fill(__u64 *slot, const struct needle *n, int words,
				       const struct addition *a, __u32 epoch)
{
	struct slot_tail *t = slot__tail(slot, words);

	slot[0] = n->word[0];
	slot[1] = n->word[1];
	if (words == 5) {
		slot[2] = n->word[2];
		slot[3] = n->word[3];
		slot[4] = n->word[4];
	}
	t->packets = a->count.packets;
	t->bytes = (t->bytes & (0xffULL << SLOT_CLAIM_SHIFT)) | a->count.bytes |
		   (__u64)a->marks << SLOT_MARKS_SHIFT;
	t->epoch = epoch;
}

/* One more claim in its eight bits, without a carry into the marks. */
static __always_inline void tail__claim(struct slot_tail *t)
{
	__u64 claim = (t->bytes + (1ULL << SLOT_CLAIM_SHIFT)) & (0xffULL << SLOT_CLAIM_SHIFT);

	*(volatile __u64 *)&t->bytes = (t->bytes & ~(0xffULL << SLOT_CLAIM_SHIFT)) | claim;
}

static __always_inline enum table_result table__claim(__u64 *slot, __u32 number,
						      const struct needle *n, int words, __u32 cpu,
						      const struct addition *a, __u32 epoch)
{
	struct cpu_state *state = bpf_map_lookup_elem(&cpus, &cpu);
	__u64 *log;
	__u32 at;

	if (!state)
		return TABLE_LOST;
	at = cpu * (table.log_mask + 1) + (state->claims & table.log_mask);
	log = bpf_map_lookup_elem(&claim_log, &at);
	if (!log)
		return TABLE_LOST;
	tail__claim(
		slot__tail(slot, words)); /* whoever sees any new content also sees a new claim */
	table__publish(&state->begun);
	slot__fill(slot, n, words, a, epoch);
	*log = words == 5 ? number | CLAIM_IP6 : number;
	table__publish(&state->claims); /* slot and log entry are visible before the count */
	return TABLE_CLAIMED;
}

static __always_inline void needle__flow(const struct needle *n, int words, union flow_words *to)
{
	if (words == 2) {
		parse__flow4(to, n->word[0], n->word[1]);
		return;
	}
	to->word[0] = n->word[0];
	to->word[1] = n->word[1];
	to->word[2] = n->word[2];
	to->word[3] = n->word[3];
	to->word[4] = n->word[4];
}

static __always_inline enum table_result table__overflow(__u32 cpu, const struct needle *n,
							 int words, const struct addition *a)
{
	struct cpu_state *state = bpf_map_lookup_elem(&cpus, &cpu);
	struct record *record;
	__u32 at;

	if (!state || state->head - *(volatile __u64 *)&state->tail > table.overflow_mask)
		return TABLE_LOST;
	at = cpu * (table.overflow_mask + 1) + (state->head & table.overflow_mask);
	record = bpf_map_lookup_elem(&overflow, &at);
	if (!record)
		return TABLE_LOST;
	needle__flow(n, words, &record->flow);
	record->count = a->count;
	record->marks = a->marks;
	table__publish(&state->head); /* the record is visible before the head */
	return TABLE_OVERFLOWED;
}

static __always_inline enum table_result table__hash(void *map, __u32 cpu, const struct addition *a)
{
	struct hash_count *c = bpf_map_lookup_elem(map, a->flow), first = {};
	struct needle n;

	if (c) {
		count__add(&c->count, &a->count);
		c->marks |= a->marks;
		return TABLE_KNOWN;
	}
	first.count = a->count;
	first.marks = a->marks;
	if (!bpf_map_update_elem(map, a->flow, &first, BPF_NOEXIST))
		return TABLE_CLAIMED;
	n = needle__of(a->flow, 5);
	return table__overflow(cpu, &n, 5, a); /* full, or EBUSY: the ring takes it */
}

/*
 * The first place to look, where nearly every packet of a known flow ends: it is apart so that its few values stay in
 * registers. 0: nothing was done.
 */
static __always_inline int table__hit(void *map, const struct needle *n, int words, __u32 mask,
				      __u32 cpu, const struct addition *a)
{
	__u32 at = cpu * (mask + 1) + (n->place & mask);
	__u64 *slot = bpf_map_lookup_elem(map, &at);
	struct slot_tail *t;

	if (!slot)
		return 0;
	t = slot__tail(slot, words);
	if (!needle__is(n, slot, words) || t->epoch <= *(volatile __u32 *)&ctl.free)
		return 0;
	tail__add(t, a, *(volatile __u32 *)&ctl.epoch);
	return 1;
}

static __always_inline enum table_result table__find(void *map, const struct needle *n, int words,
						     __u32 mask, __u32 cpu,
						     const struct addition *a)
{
	__u32 epoch = *(volatile __u32 *)&ctl.epoch, free = *(volatile __u32 *)&ctl.free;
	__u32 base = cpu * (mask + 1), spare_at = 0, i;
	__u64 *spare = NULL;

#pragma clang loop unroll(disable)
	for (i = 0; i < TABLE_PROBES; i++) {
		__u32 at = base + ((n->place + i) & mask);
		__u64 *slot = bpf_map_lookup_elem(map, &at);
		struct slot_tail *t;

		if (!slot)
			return TABLE_LOST;
		t = slot__tail(slot, words);
		if (t->epoch > free) {
			if (!needle__is(n, slot, words))
				continue;
			tail__add(t, a, epoch);
			return TABLE_KNOWN;
		}
		if (!spare) {
			spare = slot;
			spare_at = at - base;
		}
		if (!t->epoch)
			break;
	}
	if (spare)
		return table__claim(spare, spare_at, n, words, cpu, a, epoch);
	return table__overflow(cpu, n, words, a);
}

/* Apart, each, from the code around it: what they have on the stack would be there for who does not need them, too. */
static __noinline enum table_result table__find4(__u32 cpu, const struct needle *n,
						 const struct addition *a)
{
	return table__find(&flows4, n, 2, table.mask4, cpu, a);
}

static __noinline enum table_result table__add6(__u32 cpu, const struct addition *a)
{
	struct needle n = needle__of(a->flow, 5);

	if (table__hit(&flows6, &n, 5, table.mask6, cpu, a))
		return TABLE_KNOWN;
	return table__find(&flows6, &n, 5, table.mask6, cpu, a);
}

static __always_inline enum table_result table__add4(__u32 cpu, const struct needle *n,
						     const struct addition *a)
{
	struct addition addition;
	struct needle needle;

	if (table__hit(&flows4, n, 2, table.mask4, cpu, a))
		return TABLE_KNOWN;
	needle = *n; /* copies, so that the caller's own can stay in registers */
	addition = *a;
	return table__find4(cpu, &needle, &addition);
}

/* Into a slot: not with --table hash. */
static __always_inline enum table_result table__add(__u32 cpu, const struct addition *a)
{
	union flow_words flow;
	struct needle n;

	if (a->flow->key.family == 4) {
		n = needle__of(a->flow, 2);
		return table__add4(cpu, &n, a);
	}
	flow = *a->flow; /* a copy, so that the caller's own can stay in registers */
	return table__add6(cpu, &(struct addition){
					.flow = &flow, .count = a->count, .marks = a->marks });
}

static __always_inline enum table_result table__add_any(__u32 cpu, const struct addition *a)
{
	if (table.hash)
		return *(volatile __u32 *)&ctl.epoch & 1 ? table__hash(&hash_odd, cpu, a)
							 : table__hash(&hash_even, cpu, a);
	return table__add(cpu, a);
}

static __always_inline void tally__missed(struct tally *t, enum table_result r,
					  const struct count *n)
{
	if (r == TABLE_OVERFLOWED)
		count__add(&t->reason[REASON_OVERFLOWED], n);
	else if (r == TABLE_LOST)
		count__add(&t->reason[REASON_LOST], n);
}

/* Adds to the table and to the ledger; says whether the slot is new, for who wants to look closer at a new flow. */
static __always_inline enum table_result table__count(struct tally *t, __u32 cpu,
						      const struct addition *a)
{
	enum table_result r = table__add_any(cpu, a);

	tally__missed(t, r, &a->count);
	return r;
}

/* The same for who has asked before whether the kernel's hash is the table. */
static __always_inline void table__count_slot(struct tally *t, __u32 cpu, const struct addition *a)
{
	tally__missed(t, table__add(cpu, a), &a->count);
}

/* The tail stands after two words, or after five and one unused: as in a slot. */
static __always_inline struct pending_tail *pending__tail(__u64 *entry, int words)
{
	return (struct pending_tail *)(entry + (words == 5 ? 6 : 2));
}

static __always_inline void pending__fill(__u64 *entry, const struct needle *n, int words,
					  const struct addition *a)
{
	struct pending_tail *tail = pending__tail(entry, words);

	entry[0] = n->word[0];
	entry[1] = n->word[1];
	if (words == 5) {
		entry[2] = n->word[2];
		entry[3] = n->word[3];
		entry[4] = n->word[4];
	}
	tail->count = a->count.packets | a->count.bytes << 32;
	tail->place = n->place | (__u64)a->marks << 32;
}

static __always_inline struct needle pending__needle(const __u64 *entry, int words)
{
	struct needle n = { .word = { entry[0], entry[1] },
			    .place = pending__tail((__u64 *)entry, words)->place };

	if (words == 5) {
		n.word[2] = entry[2];
		n.word[3] = entry[3];
		n.word[4] = entry[4];
	}
	return n;
}

static __always_inline struct addition pending__addition(const __u64 *entry, int words)
{
	const struct pending_tail *tail = pending__tail((__u64 *)entry, words);

	return (struct addition){ .count = { (__u32)tail->count, tail->count >> 32 },
				  .marks = tail->place >> 32 };
}

/* Into the table, or into the ledger of its own link. */
static __always_inline void pending__find(const __u64 *entry, void *map, int words, __u32 mask,
					  __u32 cpu)
{
	struct addition a = pending__addition(entry, words);
	struct needle n = pending__needle(entry, words);
	enum table_result r = table__find(map, &n, words, mask, cpu, &a);
	union flow_words flow;
	struct tally *t;

	if (r == TABLE_KNOWN || r == TABLE_CLAIMED)
		return;
	flow.word[4] = n.word[words - 1];
	t = table__tally(cpu, flow.key.link % LINKS_MAX);
	if (t)
		tally__missed(t, r, &a.count);
}

/* Apart, as table__find4(). */
static __noinline int pending__find4(__u32 cpu, const __u64 *entry)
{
	pending__find(entry, &flows4, 2, table.mask4, cpu);
	return 0;
}

/* The packet that waited longest. */
static __always_inline void pending__count(const __u64 *entry, void *map, int words, __u32 mask,
					   __u32 cpu)
{
	struct addition a = pending__addition(entry, words);
	struct needle n = pending__needle(entry, words);

	if (table__hit(map, &n, words, mask, cpu, &a))
		return;
	if (words == 2)
		pending__find4(cpu, entry);
	else
		pending__find(entry, map, words, mask, cpu);
}

/* Has the line of the flow's first slot fetched: a load whose value nobody waits for. */
static __always_inline void pending__fetch(__u64 *entry, void *map, int words, __u32 mask,
					   __u32 cpu)
{
	__u32 place = pending__tail(entry, words)->place;
	__u32 at = cpu * (mask + 1) + (place & mask);
	__u64 *slot = bpf_map_lookup_elem(map, &at);

	if (slot)
		(void)*(volatile __u64 *)slot;
}

/* After every PENDING packets for them all: unrolled, so that the loads are near each other. */
static __always_inline void ring__fetch(__u64 *first, __u64 came, void *map, int words, __u32 mask,
					__u32 cpu)
{
	const int step = words == 5 ? 8 : 4;
	int i;

	if (came % PENDING != PENDING - 1)
		return;
	first += (came & PENDING) * step; /* the first half of the ring, or the second */
#pragma clang loop unroll(full)
	for (i = 0; i < PENDING; i++)
		pending__fetch(first + i * step, map, words, mask, cpu);
}

static __always_inline __u32 table__ring(__u32 cpu)
{
	return cpu * 2 + (*(volatile __u32 *)&ctl.epoch & 1);
}

static __always_inline void table__later4(__u32 cpu, const struct needle *n,
					  const struct addition *a)
{
	__u32 at = table__ring(cpu);
	struct ring4 *ring = bpf_map_lookup_elem(&pending4, &at);
	__u64 came;

	if (!ring)
		return;
	came = ring->came;
	pending__fill(&ring->entry[came % RING].addr, n, 2, a);
	ring->came = came + 1;
	ring__fetch(&ring->entry[0].addr, came, &flows4, 2, table.mask4, cpu);
	if (came >= PENDING)
		pending__count(&ring->entry[(came - PENDING) % RING].addr, &flows4, 2, table.mask4,
			       cpu);
}

/* Apart, for the same reason as table__add6(). */
static __noinline void table__later6(__u32 cpu, const struct addition *a)
{
	struct needle n = needle__of(a->flow, 5);
	__u32 at = table__ring(cpu);
	struct ring6 *ring = bpf_map_lookup_elem(&pending6, &at);
	__u64 came;

	if (!ring)
		return;
	came = ring->came;
	pending__fill(ring->entry[came % RING].flow.word, &n, 5, a);
	ring->came = came + 1;
	ring__fetch(ring->entry[0].flow.word, came, &flows6, 5, table.mask6, cpu);
	if (came >= PENDING)
		pending__count(ring->entry[(came - PENDING) % RING].flow.word, &flows6, 5,
			       table.mask6, cpu);
}

/* As table__count(), but a few packets later: for who does not ask whether the flow is new. Not with --table hash. */
static __always_inline void table__later(__u32 cpu, const struct addition *a)
{
	union flow_words flow;
	struct needle n;

	if (a->flow->key.family == 4) {
		n = needle__of(a->flow, 2);
		table__later4(cpu, &n, a);
		return;
	}
	flow = *a->flow; /* a copy, so that the caller's own can stay in registers */
	table__later6(cpu,
		      &(struct addition){ .flow = &flow, .count = a->count, .marks = a->marks });
}

/* A plain packet the short way, but for the ledger; 0: nothing was done. */
static __always_inline int table__plain4(__u32 cpu, const struct plain4 *p,
					 const struct count *count)
{
	struct addition a = { .count = *count, .marks = p->marks };
	struct needle n = needle__plain4(p);

	if (!*(volatile __u32 *)&ctl.later)
		return table__hit(&flows4, &n, 2, table.mask4, cpu, &a);
	table__later4(cpu, &n, &a);
	return 1;
}
#endif
