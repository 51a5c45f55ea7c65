/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_MONITOR_H
#define WIREWHO_MONITOR_H
/* What happens to interfaces while we run: up, down, renamed, another MTU, deleted, made again. */
#include <net/if.h>
#include <stdbool.h>
#include "xdp/flow.h"

struct link_state {
	char name[IF_NAMESIZE];
	unsigned ifindex, mtu;
	bool gone, up, carrier;
	struct count received, sent; /* the driver's own counters (rtnl_link_stats64) */
};

struct monitor;
typedef void (*monitor_fn)(void *to, const struct link_state *now);

/* Interfaces of the current network namespace. fn hears of each change, and of each interface when changes were lost. */
int monitor__open(struct monitor **out, monitor_fn fn, void *to);
void monitor__close(struct monitor *m);
int monitor__fd(const struct monitor *m);
int monitor__read(struct monitor *m); /* takes what waits; 0 or -errno */

/* One interface as it is now. 0 or -errno. */
int monitor__ask(const char *ifname, struct link_state *out);
#endif
