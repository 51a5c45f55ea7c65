// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "behind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "places.h"
#include "places.h"

static int by_link(const void *left, const void *right)
{
	const struct behind_link *a = left, *b = right;

	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return a->netns < b->netns ? -1 : a->netns > b->netns;
}

static int by_address(const void *left, const void *right)
{
	const struct behind_address *a = left, *b = right;
	int order = memcmp(a->address, b->address, sizeof(a->address));

	return order ? order : a->netns < b->netns ? -1 : a->netns > b->netns;
}

static void *copy_sorted(const void *from, size_t n, size_t size,
			 int (*order)(const void *, const void *))
{
	void *to = malloc(n * size + 1);

	if (to && n) {
		memcpy(to, from, n * size);
		qsort(to, n, size, order);
	}
	return to;
}

static bool is_same(const struct behind *a, const struct behind *b)
{
	return a->links == b->links && a->addresses == b->addresses &&
	       !(a->links && memcmp(a->link, b->link, a->links * sizeof(*a->link))) &&
	       !(a->addresses &&
		 memcmp(a->address, b->address, a->addresses * sizeof(*a->address)));
}

int behind__set(struct behind *b, const struct behind_link *link, size_t links,
		const struct behind_address *address, size_t addresses)
{
	struct behind now = { .links = links, .addresses = addresses };

	now.link = copy_sorted(link, links, sizeof(*link), by_link);
	now.address = copy_sorted(address, addresses, sizeof(*address), by_address);
	if (!now.link || !now.address) {
		behind__free(&now);
		return -ENOMEM;
	}
	b->known = now.known = true;
	if (is_same(b, &now)) {
		behind__free(&now);
		return 0;
	}
	behind__free(b);
	*b = now;
	return 1;
}

void behind__free(struct behind *b)
{
	free(b->link);
	free(b->address);
	*b = (struct behind){ 0 };
}

size_t behind__bytes(const struct behind *b)
{
	return b->links * sizeof(*b->link) + b->addresses * sizeof(*b->address);
}

size_t behind__first(const struct behind *b, uint32_t ifindex)
{
	size_t low = 0, high = b->links;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->link[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool behind__has(const struct behind *b, uint32_t ifindex, uint64_t netns)
{
	size_t i;

	for (i = behind__first(b, ifindex); behind__is(b, i, ifindex); i++)
		if (b->link[i].netns == netns)
			return true;
	return false;
}

/* The first that is not below. */
static size_t first_address(const struct behind *b, const struct behind_address *wanted)
{
	size_t low = 0, high = b->addresses;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_address(&b->address[middle], wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool behind__holds(const struct behind *b, uint64_t netns, const __u8 *address)
{
	struct behind_address wanted = { .netns = netns };
	size_t at;

	memcpy(wanted.address, address, sizeof(wanted.address));
	at = first_address(b, &wanted);
	return at < b->addresses && !by_address(&b->address[at], &wanted);
}

/* 127.0.0.0/8 (RFC 1122 3.2.1.3) is local as a whole; the rest is for many (RFC 1112, RFC 4291 2.7, RFC 919). */
static bool is_for_any(const __u8 *a)
{
	static const __u8 all[4] = { 255, 255, 255, 255 };

	if (!address__is_mapped(a))
		return a[0] == 0xff;
	return a[12] == 127 || (a[12] & 0xf0) == 224 || !memcmp(a + 12, all, sizeof(all));
}

bool behind__reaches(const struct behind *b, uint64_t netns, const __u8 *address)
{
	return !b->known || is_for_any(address) || behind__holds(b, netns, address);
}

uint64_t behind__holder(const struct behind *b, const __u8 *address)
{
	struct behind_address wanted = { .netns = 0 };
	uint64_t netns = 0;
	size_t at;

	memcpy(wanted.address, address, sizeof(wanted.address));
	for (at = first_address(b, &wanted); at < b->addresses; at++) {
		if (memcmp(b->address[at].address, address, sizeof(wanted.address)))
			break;
		if (netns && netns != b->address[at].netns)
			return 0;
		netns = b->address[at].netns;
	}
	return netns;
}

bool behind__is_ambiguous(const struct behind *b)
{
	const struct behind_address *a = b->address;
	size_t i;

	for (i = 1; i < b->addresses; i++)
		if (a[i].netns != a[i - 1].netns &&
		    !memcmp(a[i].address, a[i - 1].address, sizeof(a->address)))
			return true;
	return false;
}
