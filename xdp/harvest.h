/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_HARVEST_H
#define WIREWHO_HARVEST_H
/*
 * The count table's user side: makes the maps of one direction, reads them without a syscall, and runs the
 * protocol of table.h that lets slots be reused without losing a packet.
 */
#include <stdbool.h>
#include <stdint.h>
#include "flow.h"

struct bpf_object;
struct harvest;

#define HARVEST_LATER 16384

struct harvest_size {
	uint32_t slots; /* for IPv4, a CPU; rounded up to a power of two; half as many for IPv6 */
	uint32_t overflow; /* records a CPU; rounded up to a power of two */
	bool hash;         /* the kernel's per-CPU hash instead of our table */
	uint32_t
		later; /* live flows of a CPU from which on packets wait for their slots (table.h); 0: HARVEST_LATER; 1: always */
	/* Opened, not loaded; its maps of the same names say what keys and values are, for bpftool. NULL: not said. Only
	 * looked at by harvest__open(). */
	const struct bpf_object *types;
};

/* What one harvest found of one flow, since the harvest before. */
struct harvested {
	const struct flow_key *key;
	struct count count; /* more than zero packets */
	uint8_t marks;      /* enum flow_mark, all seen so far by this slot */
	uint32_t *
		handle; /* the receiver's own note, kept while the slot lives; starts as HANDLE_NONE */
};

#define HANDLE_NONE UINT32_MAX

typedef void (*harvest_fn)(void *to, const struct harvested *h);

/* Creates the maps; *out untouched on failure. Returns 0 or -errno; the reason was said. */
int harvest__open(struct harvest **out, const struct harvest_size *size, const char *direction);
void harvest__close(struct harvest *h);

/* Gives the maps to an opened, not yet loaded object that includes table.h, and sets its constants. */
int harvest__lend(struct harvest *h, struct bpf_object *obj);

/* One harvest: every flow with new packets goes to fn, once a slot. Returns 0 or -errno. */
int harvest__run(struct harvest *h, harvest_fn fn, void *to);

/* Are the overflow rings more than a quarter full? Then harvest sooner. */
bool harvest__urgent(const struct harvest *h);

/* Slots a CPU for flows of this IP version. */
uint32_t harvest__slots(const struct harvest *h, int version);
/* Bytes of kernel memory that the maps take. */
uint64_t harvest__memory(const struct harvest *h);

/* Slots a CPU that fit into `budget` bytes for `tables` directions on this host. */
uint32_t harvest__slots_for(uint64_t budget, unsigned tables);

/*
 * The ledger of one link: sum over CPUs (cpu < 0) or one CPU. FLOW is what was harvested so far, so after the last
 * harvest of a detached program: seen = sum of reason[]. Copy out is consistent only when traffic is at rest.
 */
void harvest__tally(const struct harvest *h, uint16_t link, int cpu, struct tally *out);
int harvest__cpus(const struct harvest *h);
#endif
