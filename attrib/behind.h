/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_BEHIND_H
#define WIREWHO_BEHIND_H
/*
 * Which network namespaces stand behind which interface of the watched one, and the addresses they hold: what says that
 * a container's socket can be meant by a packet that only passes through here. Containers often have the same addresses
 * and ports as others; without this, a tuple alone would name the wrong one. Pure: somebody else looks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xdp/flow.h"

/* A namespace can be reached through an interface (a veth's end here, the bridge it is in). */
struct behind_link {
	uint32_t ifindex; /* of this namespace */
	uint32_t pad;
	uint64_t netns; /* cookie */
};

struct behind_address {
	__u8 address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint64_t netns;
};

struct behind {
	struct behind_link *link;       /* sorted */
	struct behind_address *address; /* sorted */
	size_t links, addresses;
	bool known; /* somebody has looked */
};

/* Takes copies in place of what was known. 1, 0 when it was the same, or -ENOMEM, and then nothing changed. */
int behind__set(struct behind *b, const struct behind_link *link, size_t links,
		const struct behind_address *address, size_t addresses);
void behind__free(struct behind *b); /* leaves an empty one, as does zeroing */
size_t behind__bytes(const struct behind *b);

/* Those behind one interface:  for (i = behind__first(b, ifindex); behind__is(b, i, ifindex); i++) b->link[i].netns */
size_t behind__first(const struct behind *b, uint32_t ifindex);
static inline bool behind__is(const struct behind *b, size_t i, uint32_t ifindex)
{
	return i < b->links && b->link[i].ifindex == ifindex;
}

bool behind__has(const struct behind *b, uint32_t ifindex, uint64_t netns);
bool behind__holds(const struct behind *b, uint64_t netns, const __u8 *address);
/*
 * Can a socket that is bound to no address be meant by this one? By the namespace's own, and by those for many. Where nobody
 * has looked, by any.
 */
bool behind__reaches(const struct behind *b, uint64_t netns, const __u8 *address);
/* The one namespace that holds the address; 0: none, or several. */
uint64_t behind__holder(const struct behind *b, const __u8 *address);
/* Is there an address that several of them hold? */
bool behind__is_ambiguous(const struct behind *b);
#endif
