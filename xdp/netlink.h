/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_NETLINK_H
#define WIREWHO_NETLINK_H
/* Questions to the kernel over netlink: one request, its answers one by one. Nothing is said here. */
#include <linux/genetlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>

struct netlink_request {
	struct nlmsghdr head;
	union {
		struct tcmsg tc;
		struct ifinfomsg link;
		struct genlmsghdr generic;
		struct ifaddrmsg address;
		struct rtgenmsg any;
		struct nfgenmsg netfilter;
	};
	char attributes[128];
};

typedef void (*netlink_fn)(void *to, const struct nlmsghdr *answer);

/*
 * Sends the request; `body` is the size of its member of the union, nlmsg_flags 0 or NLM_F_DUMP. Calls fn for each
 * answer. 0 or -errno, also the kernel's own.
 */
int netlink__ask(int protocol, struct netlink_request *r, size_t body, netlink_fn fn, void *to);

/* The same over a socket of the caller's, for many questions. A descriptor or -errno. */
int netlink__open(int protocol);
int netlink__ask_on(int fd, struct netlink_request *r, size_t body, netlink_fn fn, void *to);

/* Adds an attribute after the body; before netlink__ask(). The few that are needed always fit. */
void netlink__put(struct netlink_request *r, size_t body, unsigned short type, const void *data,
		  size_t size);

/* The attribute of this type in an answer, behind a body of that size; or within another attribute. NULL: not there. */
const struct nlattr *netlink__find(const struct nlmsghdr *answer, size_t body, unsigned type);
const struct nlattr *netlink__within(const struct nlattr *outer, unsigned type);

/* Its value; zero, or "", where it is missing or too small. */
unsigned long long netlink__number(const struct nlattr *a);
const char *netlink__text(const struct nlattr *a);
#endif
