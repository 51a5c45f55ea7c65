// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "stack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "xdp/netlink.h"

#define LEVELS_MAX 8 /* as the kernel's own limit (MAX_NEST_DEV) */

struct entry {
	uint32_t ifindex, master, parent;
	bool bond;
};

struct stack {
	struct entry *entry;
	size_t n, room;
	int err;
};

static struct entry *more(struct stack *s)
{
	size_t room = s->room ? s->room * 2 : 64;
	struct entry *e;

	if (s->n < s->room)
		return &s->entry[s->n++];
	e = realloc(s->entry, room * sizeof(*e));
	if (!e) {
		s->err = -ENOMEM;
		return NULL;
	}
	s->entry = e;
	s->room = room;
	return &e[s->n++];
}

static void take_link(void *to, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	const size_t body = sizeof(*info);
	struct stack *s = to;
	struct entry *e = h->nlmsg_type == RTM_NEWLINK ? more(s) : NULL;
	const char *kind;

	if (!e)
		return;
	kind = netlink__text(
		netlink__within(netlink__find(h, body, IFLA_LINKINFO), IFLA_INFO_KIND));
	*e = (struct entry){
		.ifindex = (uint32_t)info->ifi_index,
		.master = (uint32_t)netlink__number(netlink__find(h, body, IFLA_MASTER)),
		.bond = !strcmp(kind, "bond") || !strcmp(kind, "team"),
	};
	/* A veth does not stand on its peer, nor anything here on what is elsewhere. */
	if (strcmp(kind, "veth") && !netlink__find(h, body, IFLA_LINK_NETNSID))
		e->parent = (uint32_t)netlink__number(netlink__find(h, body, IFLA_LINK));
}

static const struct entry *find(const struct stack *s, uint32_t ifindex)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->entry[i].ifindex == ifindex)
			return &s->entry[i];
	return NULL;
}

static bool stands_on(const struct entry *upper, const struct entry *lower)
{
	return lower->master == upper->ifindex || upper->parent == lower->ifindex;
}

static unsigned level(const struct stack *s, const struct entry *e, unsigned depth)
{
	unsigned highest = 0;

	for (size_t i = 0; i < s->n && depth < LEVELS_MAX; i++) {
		unsigned below = stands_on(e, &s->entry[i]) && &s->entry[i] != e
					 ? level(s, &s->entry[i], depth + 1) + 1
					 : 0;

		highest = below > highest ? below : highest;
	}
	return highest;
}

static struct stack_place place_of(const struct stack *s, uint32_t ifindex)
{
	const struct entry *e = find(s, ifindex);
	const struct entry *master = e && e->master ? find(s, e->master) : NULL;

	return (struct stack_place){
		.level = e ? level(s, e, 0) : 0,
		.bond = master && master->bond ? master->ifindex : 0,
	};
}

int stack__find(const uint32_t *ifindex, unsigned n, struct stack_place *out)
{
	struct netlink_request r = {
		.head = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_DUMP },
	};
	struct stack s = {};
	int err = netlink__ask(NETLINK_ROUTE, &r, sizeof(r.link), take_link, &s);

	err = err ? err : s.err;
	for (unsigned i = 0; i < n && !err; i++)
		out[i] = place_of(&s, ifindex[i]);
	free(s.entry);
	return err;
}

void stack__order(const struct stack_place *place, unsigned n, unsigned *order)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned at = i;

		for (; at && place[order[at - 1]].level > place[i].level; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
}
