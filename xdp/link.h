/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_LINK_H
#define WIREWHO_LINK_H
/* What the kernel says of a network interface of the current network namespace. */
#include <stdbool.h>
#include <stdint.h>

struct link_facts {
	unsigned ifindex;
	bool up, carrier;
	bool raw;        /* no Ethernet header: tun, WireGuard, PPP */
	unsigned queues; /* receive queues, at least 1 */
	unsigned mtu;
	char driver[32]; /* "" when the driver does not say */
};

int link__facts(const char *ifname, struct link_facts *out); /* 0 or -errno, nothing said */
/* Says and returns an error when the interface is missing, down or without carrier; else fills *out. */
int link__usable(const char *ifname, struct link_facts *out);
/* The cookie of the current network namespace (SO_NETNS_COOKIE, since 5.14); 0 where the kernel has none. */
uint64_t link__netns(void);

/* What a native XDP program on a veth comes to, before it has done anything (veth_xdp_set() in drivers/net/veth.c). */
#define VETH_DRIVER "veth"
#define VETH_COST \
	"turns off segmentation offload at the peer and has each packet copied, which makes local bulk transfers slower"
#endif
