// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "harvest.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "parse.h"
#include "say.h"

#define IDLE_EPOCHS 8 /* harvests a quiet flow keeps its slot while there is room */

/* A live slot as user space remembers it. */
struct active {
	uint32_t slot; /* its number, with CLAIM_IP6 */
	uint32_t handle;
	uint64_t bytes; /* as read last: 48 bits */
	uint32_t packets;
	uint8_t claim;
};

struct cpu_view {
	struct active *active;
	size_t n, room;
	uint64_t claims;    /* log entries read */
	struct count *flow; /* by link: what was harvested from this CPU's slots */
};

/* One mmapped array. */
struct area {
	const char *name;
	int fd;
	void *at;
	size_t bytes;
};

enum { FLOWS4, FLOWS6, PENDING4, PENDING6, CLAIM_LOG, OVERFLOW, CPUS, TALLIES, CTL, AREAS };

struct harvest {
	struct area area[AREAS];
	struct table_size size;
	int hash[2];  /* even, odd; -1 without --table hash */
	int grace[2]; /* outer and inner map: see grace() */
	int cpus;
	uint32_t occupied; /* the fullest CPU's live slots */
	uint32_t later;    /* so many of them make packets wait */
	bool pressed;      /* the overflow ring was used since the last harvest */
	struct cpu_view *cpu;
	const char *direction;
	const struct bpf_object *types; /* while opening; NULL: keys and values are not described */
};

static uint32_t round_pow2(uint32_t n)
{
	uint32_t p = 1;

	while (p < n && p < 1u << 30)
		p <<= 1;
	return p;
}

uint32_t harvest__slots_for(uint64_t budget, unsigned tables)
{
	/* For an IPv4 slot: itself, half an IPv6 slot, two places in the log. */
	uint64_t each = sizeof(struct slot4) + sizeof(struct slot6) / 2 + 2 * sizeof(uint64_t);
	uint64_t slots = budget / (each * tables * (unsigned)libbpf_num_possible_cpus());
	uint32_t p = 256;

	while (p * 2 <= slots && p < 1u << 24)
		p *= 2;
	return p;
}

/* So that bpftool prints fields by name. Nothing depends on it. */
static void describe(const struct harvest *h, const char *name, struct bpf_map_create_opts *opts)
{
	const struct bpf_map *like = h->types ? bpf_object__find_map_by_name(h->types, name) : NULL;

	if (!like || !bpf_map__btf_value_type_id(like))
		return;
	opts->btf_fd = btf__fd(bpf_object__btf(h->types));
	opts->btf_key_type_id = bpf_map__btf_key_type_id(like);
	opts->btf_value_type_id = bpf_map__btf_value_type_id(like);
}

static int area__map(const struct harvest *h, struct area *a, const char *name, uint32_t value,
		     uint64_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	size_t page = sysconf(_SC_PAGESIZE), bytes = (value * entries + page - 1) / page * page;
	void *at;

	a->name = name;
	if (entries > UINT32_MAX)
		return -E2BIG;
	describe(h, name, &opts);
	a->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value, entries, &opts);
	if (a->fd < 0)
		return -errno;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	a->at = at;
	a->bytes = bytes;
	return 0;
}

static int map_areas(struct harvest *h)
{
	uint64_t cpus = h->cpus, own = !h->size.hash;
	const struct {
		const char *name;
		uint32_t value;
		uint64_t entries;
	} plan[AREAS] = {
		[FLOWS4] = { "flows4", sizeof(struct slot4), cpus * own * h->size.mask4 + cpus },
		[FLOWS6] = { "flows6", sizeof(struct slot6), cpus * own * h->size.mask6 + cpus },
		[PENDING4] = { "pending4", sizeof(struct ring4), cpus * 2 },
		[PENDING6] = { "pending6", sizeof(struct ring6), cpus * 2 },
		[CLAIM_LOG] = { "claim_log", sizeof(uint64_t),
				cpus * own * h->size.log_mask + cpus },
		[OVERFLOW] = { "overflow", sizeof(struct record),
			       cpus * (h->size.overflow_mask + 1ull) },
		[CPUS] = { "cpus", sizeof(struct cpu_state), cpus },
		[TALLIES] = { "tallies", sizeof(struct tally), cpus * LINKS_MAX },
		[CTL] = { ".data.ctl", sizeof(struct ctl), 1 },
	};
	int i, err = 0;

	for (i = 0; i < AREAS && !err; i++)
		err = area__map(h, &h->area[i], plan[i].name, plan[i].value, plan[i].entries);
	return err;
}

static int map_hashes(struct harvest *h)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	uint32_t entries = h->size.hash ? (h->size.mask4 + 1) * h->cpus : 1;
	int i;

	for (i = 0; i < 2; i++) {
		describe(h, i ? "hash_odd" : "hash_even", &opts);
		h->hash[i] = bpf_map_create(BPF_MAP_TYPE_PERCPU_HASH, i ? "hash_odd" : "hash_even",
					    sizeof(struct flow_key), sizeof(struct hash_count),
					    entries, &opts);
		if (h->hash[i] < 0)
			return -errno;
	}
	return 0;
}

/* The two maps behind grace(): an array of maps with room for one. */
static int map_grace(struct harvest *h)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	h->grace[1] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, NULL);
	if (h->grace[1] < 0)
		return -errno;
	opts.inner_map_fd = h->grace[1];
	h->grace[0] = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", 4, 4, 1, &opts);
	return h->grace[0] < 0 ? -errno : 0;
}

/*
 * Waits until no program that was running when we came is still running. The kernel promises this for an update of
 * a map in a map (synchronize_rcu; kernel commit 1ae80cf31938), on every kind of kernel and without privilege of its own.
 */
static int grace(const struct harvest *h)
{
	uint32_t key = 0;

	if (bpf_map_update_elem(h->grace[0], &key, &h->grace[1], BPF_ANY))
		return -errno;
	return 0;
}

static int allocate(struct harvest *h)
{
	int i;

	h->cpu = calloc(h->cpus, sizeof(*h->cpu));
	for (i = 0; h->cpu && i < h->cpus; i++) {
		h->cpu[i].flow = calloc(LINKS_MAX, sizeof(struct count));
		if (!h->cpu[i].flow)
			return -ENOMEM;
	}
	return h->cpu ? 0 : -ENOMEM;
}

static int seed(struct table_size *size)
{
	int i;

	if (getrandom(size->seed, sizeof(size->seed), 0) != sizeof(size->seed))
		return -errno;
	for (i = 0; i < 5; i++)
		size->seed[i] |= 1;
	return 0;
}

static int prepare(struct harvest *h)
{
	int err = seed(&h->size);

	if (!err)
		err = allocate(h);
	if (!err)
		err = map_areas(h);
	if (!err)
		err = map_hashes(h);
	if (!err)
		err = map_grace(h);
	if (!err)
		*(struct ctl *)h->area[CTL].at = (struct ctl){ .epoch = 2, .later = h->later <= 1 };
	return err;
}

int harvest__open(struct harvest **out, const struct harvest_size *size, const char *direction)
{
	struct harvest *h = calloc(1, sizeof(*h));
	int i, err;

	if (!h)
		return -ENOMEM;
	for (i = 0; i < AREAS; i++)
		h->area[i].fd = -1;
	h->hash[0] = h->hash[1] = h->grace[0] = h->grace[1] = -1;
	h->direction = direction;
	h->cpus = libbpf_num_possible_cpus();
	h->size.mask4 = round_pow2(size->slots) - 1;
	h->size.mask6 = h->size.mask4 / 2;
	h->size.log_mask = h->size.mask4 * 2 + 1;
	h->size.overflow_mask = round_pow2(size->overflow) - 1;
	h->size.hash = size->hash;
	h->later = size->later ? size->later : HARVEST_LATER;
	if (size->types && bpf_object__btf(size->types) &&
	    !btf__load_into_kernel(bpf_object__btf(size->types)))
		h->types = size->types;
	err = prepare(h);
	h->types = NULL;
	if (err) {
		fail(err,
		     err == -EPERM ? "run as root, or with CAP_BPF and CAP_NET_ADMIN"
				   : "a smaller --flows needs less memory",
		     "make the %s table (%u flows on each of %d CPUs)", direction,
		     h->size.mask4 + 1, h->cpus);
		harvest__close(h);
		return err;
	}
	*out = h;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void harvest__close(struct harvest *h)
{
	int i;

	if (!h)
		return;
	for (i = 0; i < AREAS; i++) {
		if (h->area[i].at)
			munmap(h->area[i].at, h->area[i].bytes);
		close_fd(h->area[i].fd);
	}
	for (i = 0; i < 2; i++) {
		close_fd(h->hash[i]);
		close_fd(h->grace[i]);
	}
	for (i = 0; h->cpu && i < h->cpus; i++) {
		free(h->cpu[i].active);
		free(h->cpu[i].flow);
	}
	free(h->cpu);
	free(h);
}

static int lend_map(struct bpf_object *obj, const char *name, int fd)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, name);

	return map ? bpf_map__reuse_fd(map, fd) : -ENOENT;
}

int harvest__lend(struct harvest *h, struct bpf_object *obj)
{
	struct bpf_map *size = bpf_object__find_map_by_name(obj, ".rodata.table");
	int i, err = size ? bpf_map__set_initial_value(size, &h->size, sizeof(h->size)) : -ENOENT;

	for (i = 0; i < AREAS && !err; i++)
		err = lend_map(obj, h->area[i].name, h->area[i].fd);
	if (!err)
		err = lend_map(obj, "hash_even", h->hash[0]);
	if (!err)
		err = lend_map(obj, "hash_odd", h->hash[1]);
	if (err)
		fail(err, NULL, "lend the %s table to its program", h->direction);
	return err;
}

static struct cpu_state *state(const struct harvest *h, int cpu)
{
	return (struct cpu_state *)h->area[CPUS].at + cpu;
}

static int grow(struct cpu_view *v)
{
	size_t room = v->room ? v->room * 2 : 64;
	struct active *more;

	if (v->n < v->room)
		return 0;
	more = realloc(v->active, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	v->active = more;
	v->room = room;
	return 0;
}

/* A slot's words; *tail is where its counters stand. */
static const __u64 *slot_at(const struct harvest *h, int cpu, uint32_t number,
			    const struct slot_tail **tail)
{
	if (number & CLAIM_IP6) {
		const struct slot6 *s = (struct slot6 *)h->area[FLOWS6].at +
					(size_t)cpu * (h->size.mask6 + 1) +
					(number & h->size.mask6);

		*tail = &s->tail;
		return s->flow.word;
	} else {
		const struct slot4 *s = (struct slot4 *)h->area[FLOWS4].at +
					(size_t)cpu * (h->size.mask4 + 1) +
					(number & h->size.mask4);

		*tail = &s->tail;
		return &s->addr;
	}
}

static uint8_t claim_of(const struct slot_tail *t)
{
	return __atomic_load_n(&t->bytes, __ATOMIC_ACQUIRE) >> SLOT_CLAIM_SHIFT;
}

static void read_key(union flow_words *to, const __u64 *slot, uint32_t number)
{
	if (number & CLAIM_IP6) {
		memcpy(to, slot, sizeof(*to));
		return;
	}
	parse__flow4(to, slot[0], slot[1]);
}

/* New claims from the log: a slot from here on read at every harvest. */
static int take_claims(struct harvest *h, int cpu)
{
	uint64_t claims = __atomic_load_n(&state(h, cpu)->claims, __ATOMIC_ACQUIRE);
	const uint64_t *log = h->area[CLAIM_LOG].at;
	struct cpu_view *v = &h->cpu[cpu];
	const struct slot_tail *tail;

	log += (size_t)cpu * (h->size.log_mask + 1);
	for (; v->claims < claims; v->claims++) {
		uint32_t number = log[v->claims & h->size.log_mask];

		if (grow(v))
			return -ENOMEM;
		slot_at(h, cpu, number, &tail);
		v->active[v->n++] = (struct active){ .slot = number,
						     .handle = HANDLE_NONE,
						     .claim = claim_of(tail) };
	}
	return 0;
}

static void hand_on(struct harvest *h, int cpu, const struct harvested *found, harvest_fn fn,
		    void *to)
{
	struct count *sum = &h->cpu[cpu].flow[found->key->link % LINKS_MAX];

	sum->packets += found->count.packets;
	sum->bytes += found->count.bytes;
	fn(to, found);
}

/* A slot's content, if it still belongs to the claim we know: read between two looks at the claim. */
static bool read_slot(const struct harvest *h, int cpu, const struct active *a,
		      union flow_words *key, struct slot_tail *copy)
{
	const struct slot_tail *tail;
	const __u64 *slot = slot_at(h, cpu, a->slot, &tail);

	if (claim_of(tail) != a->claim)
		return false;
	read_key(key, slot, a->slot);
	*copy = *tail;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return claim_of(tail) == a->claim;
}

/* Reads one live slot; false when it can be dropped: given away, or free with its final value read. */
static bool sweep_one(struct harvest *h, int cpu, struct active *a, uint32_t free, harvest_fn fn,
		      void *to)
{
	union flow_words key;
	struct slot_tail now;
	struct harvested found = { .key = &key.key, .handle = &a->handle };

	if (!read_slot(h, cpu, a, &key, &now))
		return false;
	found.count.packets = (uint32_t)(now.packets - a->packets);
	found.count.bytes = (now.bytes - a->bytes) & SLOT_BYTES_MASK;
	found.marks = now.bytes >> SLOT_MARKS_SHIFT;
	a->packets = now.packets;
	a->bytes = now.bytes;
	if (found.count.packets)
		hand_on(h, cpu, &found, fn, to);
	return now.epoch > free;
}

static void sweep(struct harvest *h, int cpu, uint32_t free, harvest_fn fn, void *to)
{
	struct cpu_view *v = &h->cpu[cpu];
	const struct slot_tail *tail;
	size_t i, kept = 0;

	for (i = 0; i < v->n; i++) {
		if (i + 8 < v->n)
			__builtin_prefetch(slot_at(h, cpu, v->active[i + 8].slot, &tail));
		if (sweep_one(h, cpu, &v->active[i], free, fn, to))
			v->active[kept++] = v->active[i];
	}
	v->n = kept;
	if (kept > h->occupied)
		h->occupied = kept;
}

static void hand_on_pending(struct harvest *h, int cpu, const union flow_words *flow,
			    const struct pending_tail *tail, harvest_fn fn, void *to)
{
	uint32_t handle = HANDLE_NONE;
	struct harvested found = { .key = &flow->key,
				   .count = { (uint32_t)tail->count, tail->count >> 32 },
				   .marks = tail->place >> 32,
				   .handle = &handle };

	hand_on(h, cpu, &found, fn, to);
}

/* What still waits in the rings of an epoch that is over: nobody else touches them. */
static void take_pending(struct harvest *h, int cpu, uint32_t epoch, harvest_fn fn, void *to)
{
	struct ring4 *r4 = (struct ring4 *)h->area[PENDING4].at + cpu * 2 + (epoch & 1);
	struct ring6 *r6 = (struct ring6 *)h->area[PENDING6].at + cpu * 2 + (epoch & 1);
	union flow_words flow;
	uint64_t i;

	for (i = r4->came > PENDING ? r4->came - PENDING : 0; i < r4->came; i++) {
		const struct pending4 *p = &r4->entry[i % RING];

		parse__flow4(&flow, p->addr, p->rest);
		hand_on_pending(h, cpu, &flow, &p->tail, fn, to);
	}
	for (i = r6->came > PENDING ? r6->came - PENDING : 0; i < r6->came; i++) {
		const struct pending6 *p = &r6->entry[i % RING];

		hand_on_pending(h, cpu, &p->flow, &p->tail, fn, to);
	}
	r4->came = r6->came = 0;
}

static void drain_overflow(struct harvest *h, int cpu, harvest_fn fn, void *to)
{
	struct cpu_state *s = state(h, cpu);
	uint64_t head = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE), tail = s->tail;
	const struct record *ring = h->area[OVERFLOW].at;

	h->pressed |= head != tail;
	for (; tail < head; tail++) {
		const struct record *r = &ring[(size_t)cpu * (h->size.overflow_mask + 1) +
					       (tail & h->size.overflow_mask)];
		uint32_t handle = HANDLE_NONE;
		struct harvested found = {
			.key = &r->flow.key, .count = r->count, .marks = r->marks, .handle = &handle
		};

		fn(to, &found);
	}
	__atomic_store_n(&s->tail, tail, __ATOMIC_RELEASE);
}

/* What one key holds in the emptied hash, all CPUs. */
static void hand_on_hash(struct harvest *h, const struct flow_key *key,
			 const struct hash_count *value, harvest_fn fn, void *to)
{
	uint32_t handle = HANDLE_NONE;
	int cpu;

	for (cpu = 0; cpu < h->cpus; cpu++) {
		struct harvested found = { .key = key,
					   .count = value[cpu].count,
					   .marks = value[cpu].marks,
					   .handle = &handle };

		if (found.count.packets)
			hand_on(h, cpu, &found, fn, to);
	}
}

#define BATCH 256

static int empty_hash(struct harvest *h, int fd, harvest_fn fn, void *to)
{
	struct hash_count *values = calloc((size_t)BATCH * h->cpus, sizeof(*values));
	struct flow_key *keys = calloc(BATCH, sizeof(*keys));
	uint32_t i, n, at[16] = {};
	int err = values && keys ? 0 : -ENOMEM;
	bool first = true;

	while (!err) {
		n = BATCH;
		err = bpf_map_lookup_and_delete_batch(fd, first ? NULL : at, at, keys, values, &n,
						      NULL);
		err = err ? -errno : 0;
		for (i = 0; (!err || err == -ENOENT) && i < n; i++)
			hand_on_hash(h, &keys[i], &values[(size_t)i * h->cpus], fn, to);
		first = false;
	}
	free(values);
	free(keys);
	return err == -ENOENT ? 0 : err;
}

/*
 * Which epoch's slots may be given away from now on. With room, a flow keeps its slot for some quiet harvests; under
 * pressure whatever was not touched since this harvest began is free.
 */
static uint32_t next_free(const struct harvest *h, uint32_t epoch, uint32_t free)
{
	bool tight = h->pressed || h->occupied > h->size.mask6 / 2;
	uint32_t next = tight ? epoch : epoch > IDLE_EPOCHS ? epoch - IDLE_EPOCHS : 0;

	return next > free ? next : free;
}

int harvest__run(struct harvest *h, harvest_fn fn, void *to)
{
	struct ctl *ctl = h->area[CTL].at;
	uint32_t epoch = ctl->epoch, free = ctl->free;
	int cpu, err;

	h->occupied = 0;
	h->pressed = false;
	__atomic_store_n(&ctl->epoch, epoch + 1, __ATOMIC_RELEASE);
	err = grace(h);
	for (cpu = 0; cpu < h->cpus && !err; cpu++) {
		err = take_claims(h, cpu);
		sweep(h, cpu, free, fn, to);
		take_pending(h, cpu, epoch, fn, to);
		drain_overflow(h, cpu, fn, to);
	}
	if (!err && h->size.hash)
		err = empty_hash(h, h->hash[epoch & 1], fn, to);
	if (err)
		return fail(err, NULL, "harvest the %s table", h->direction);
	__atomic_store_n(&ctl->free, next_free(h, epoch, free), __ATOMIC_RELEASE);
	__atomic_store_n(&ctl->later, h->later <= 1 || h->occupied >= h->later, __ATOMIC_RELAXED);
	return 0;
}

bool harvest__urgent(const struct harvest *h)
{
	int cpu;

	for (cpu = 0; cpu < h->cpus; cpu++) {
		const struct cpu_state *s = state(h, cpu);

		if (__atomic_load_n(&s->head, __ATOMIC_RELAXED) - s->tail >
		    h->size.overflow_mask / 4)
			return true;
	}
	return false;
}

uint32_t harvest__slots(const struct harvest *h, int version)
{
	return (version == 4 ? h->size.mask4 : h->size.mask6) + 1;
}

uint64_t harvest__memory(const struct harvest *h)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < AREAS; i++)
		sum += h->area[i].bytes;
	return sum;
}

int harvest__cpus(const struct harvest *h)
{
	return h->cpus;
}

static void add_tally(struct tally *to, const struct tally *from, const struct count *flow)
{
	struct count *t = (struct count *)to;
	const struct count *f = (const struct count *)from;
	size_t i;

	for (i = 0; i < sizeof(*to) / sizeof(*t); i++) {
		t[i].packets += f[i].packets;
		t[i].bytes += f[i].bytes;
	}
	to->reason[REASON_FLOW].packets += flow->packets;
	to->reason[REASON_FLOW].bytes += flow->bytes;
}

void harvest__tally(const struct harvest *h, uint16_t link, int cpu, struct tally *out)
{
	const struct tally *t = h->area[TALLIES].at;
	int i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < h->cpus; i++)
		if (cpu < 0 || cpu == i)
			add_tally(out, &t[(size_t)i * LINKS_MAX + link], &h->cpu[i].flow[link]);
}
