// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "xdp/netlink.h"

#define BUFFER (64 << 10)
/* IFF_LOWER_UP, the carrier: linux/if.h cannot stand beside net/if.h. */
#define LOWER_UP 0x10000

struct monitor {
	int fd;
	monitor_fn fn;
	void *to;
	char buffer[BUFFER] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static void take_counters(struct link_state *s, const struct nlattr *a)
{
	struct rtnl_link_stats64 stats = {};
	size_t size = a ? a->nla_len - NLA_HDRLEN : 0;

	if (!a)
		return;
	memcpy(&stats, (const char *)a + NLA_HDRLEN, size < sizeof(stats) ? size : sizeof(stats));
	s->received = (struct count){ stats.rx_packets, stats.rx_bytes };
	s->sent = (struct count){ stats.tx_packets, stats.tx_bytes };
}

static void take_link(struct link_state *s, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	size_t body = sizeof(*info);

	*s = (struct link_state){ .ifindex = info->ifi_index,
				  .gone = h->nlmsg_type == RTM_DELLINK,
				  .up = info->ifi_flags & IFF_UP,
				  .carrier = info->ifi_flags & LOWER_UP };
	snprintf(s->name, sizeof(s->name), "%.15s",
		 netlink__text(netlink__find(h, body, IFLA_IFNAME)));
	s->mtu = netlink__number(netlink__find(h, body, IFLA_MTU));
	take_counters(s, netlink__find(h, body, IFLA_STATS64));
}

static void on_message(void *to, const struct nlmsghdr *h)
{
	struct monitor *m = to;
	struct link_state s;

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return;
	take_link(&s, h);
	m->fn(m->to, &s);
}

int monitor__open(struct monitor **out, monitor_fn fn, void *to)
{
	struct sockaddr_nl links = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct monitor *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->fn = fn;
	m->to = to;
	m->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (m->fd < 0 || bind(m->fd, (struct sockaddr *)&links, sizeof(links))) {
		err = -errno;
		monitor__close(m);
		return err;
	}
	*out = m;
	return 0;
}

void monitor__close(struct monitor *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	free(m);
}

int monitor__fd(const struct monitor *m)
{
	return m->fd;
}

/* Changes were lost (ENOBUFS): ask for all there is. What was deleted shows when its owner asks for it. */
static int ask_all(struct monitor *m)
{
	struct netlink_request r = {
		.head = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_DUMP },
	};

	return netlink__ask(NETLINK_ROUTE, &r, sizeof(r.link), on_message, m);
}

int monitor__read(struct monitor *m)
{
	struct nlmsghdr *h;
	ssize_t n;

	while ((n = recv(m->fd, m->buffer, sizeof(m->buffer), 0)) > 0)
		for (h = (struct nlmsghdr *)m->buffer; NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n))
			on_message(m, h);
	if (n < 0 && errno == ENOBUFS)
		return ask_all(m);
	return n < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
}

static void on_answer(void *to, const struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		take_link(to, h);
}

int monitor__ask(const char *ifname, struct link_state *out)
{
	struct netlink_request r = { .head = { .nlmsg_type = RTM_GETLINK } };
	struct link_state s = {};
	int err;

	netlink__put(&r, sizeof(r.link), IFLA_IFNAME, ifname, strlen(ifname) + 1);
	err = netlink__ask(NETLINK_ROUTE, &r, sizeof(r.link), on_answer, &s);
	if (!err && !s.ifindex)
		err = -ENODEV;
	if (!err)
		*out = s;
	return err;
}
