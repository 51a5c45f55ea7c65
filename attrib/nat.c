// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "nat.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "join.h"
#include "xdp/netlink.h"
#include "xdp/say.h"

#define COUNT "/proc/sys/net/netfilter/nf_conntrack_count"

struct nat {
	int netlink; /* -1: not opened yet */
	int count;   /* how many flows are tracked; -1: not opened yet */
	int err;     /* cannot be asked: said */
};

int nat__open(struct nat **out)
{
	struct nat *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->netlink = n->count = -1;
	*out = n;
	return 0;
}

void nat__close(struct nat *n)
{
	if (!n)
		return;
	if (n->netlink >= 0)
		close(n->netlink);
	if (n->count >= 0)
		close(n->count);
	free(n);
}

/* Where nothing is tracked a question would only load modules. */
static bool is_tracking(struct nat *n)
{
	char first = '0';

	if (n->count < 0)
		n->count = open(COUNT, O_RDONLY | O_CLOEXEC);
	return n->count >= 0 && pread(n->count, &first, 1, 0) == 1 && first != '0';
}

/* ---- tuples as attributes ---- */

struct port {
	struct nlattr head;
	__be16 port, pad;
};

struct tuple_proto {
	struct nlattr head;
	struct {
		struct nlattr head;
		__u8 number, pad[3];
	} proto;
	struct port source, destination;
};

struct tuple4 {
	struct nlattr head;
	struct {
		struct nlattr head;
		__u8 address[4];
	} source, destination;
	struct tuple_proto proto;
};

struct tuple6 {
	struct nlattr head;
	struct {
		struct nlattr head;
		__u8 address[16];
	} source, destination;
	struct tuple_proto proto;
};

#define NESTED(type) (NLA_F_NESTED | (type))

static void put_proto(struct tuple_proto *p, const struct flow_key *key)
{
	*p = (struct tuple_proto){
		.head = { sizeof(*p), NESTED(CTA_TUPLE_PROTO) },
		.proto = { { NLA_HDRLEN + 1, CTA_PROTO_NUM }, key->proto, { 0 } },
		.source = { { NLA_HDRLEN + 2, CTA_PROTO_SRC_PORT }, key->sport, 0 },
		.destination = { { NLA_HDRLEN + 2, CTA_PROTO_DST_PORT }, key->dport, 0 },
	};
}

static void put_tuple4(struct netlink_request *r, const struct flow_key *key)
{
	struct tuple4 t = {
		.head = { sizeof(t) - sizeof(t.proto), NESTED(CTA_TUPLE_IP) },
		.source.head = { sizeof(t.source), CTA_IP_V4_SRC },
		.destination.head = { sizeof(t.destination), CTA_IP_V4_DST },
	};

	memcpy(t.source.address, key->saddr + 12, 4);
	memcpy(t.destination.address, key->daddr + 12, 4);
	put_proto(&t.proto, key);
	netlink__put(r, sizeof(r->netfilter), NESTED(CTA_TUPLE_ORIG), &t, sizeof(t));
}

static void put_tuple6(struct netlink_request *r, const struct flow_key *key)
{
	struct tuple6 t = {
		.head = { sizeof(t) - sizeof(t.proto), NESTED(CTA_TUPLE_IP) },
		.source.head = { sizeof(t.source), CTA_IP_V6_SRC },
		.destination.head = { sizeof(t.destination), CTA_IP_V6_DST },
	};

	memcpy(t.source.address, key->saddr, 16);
	memcpy(t.destination.address, key->daddr, 16);
	put_proto(&t.proto, key);
	netlink__put(r, sizeof(r->netfilter), NESTED(CTA_TUPLE_ORIG), &t, sizeof(t));
}

static bool take_address(__u8 *to, const struct nlattr *ip, unsigned v4, unsigned v6)
{
	const struct nlattr *a = netlink__within(ip, v4);

	memset(to, 0, 16);
	if (a && a->nla_len == NLA_HDRLEN + 4) {
		to[10] = to[11] = 0xff;
		memcpy(to + 12, (const char *)a + NLA_HDRLEN, 4);
		return true;
	}
	a = netlink__within(ip, v6);
	if (!a || a->nla_len != NLA_HDRLEN + 16)
		return false;
	memcpy(to, (const char *)a + NLA_HDRLEN, 16);
	return true;
}

static bool take_tuple(struct flow_key *to, const struct nlattr *tuple)
{
	const struct nlattr *ip = netlink__within(tuple, CTA_TUPLE_IP);
	const struct nlattr *proto = netlink__within(tuple, CTA_TUPLE_PROTO);

	to->sport = netlink__number(netlink__within(proto, CTA_PROTO_SRC_PORT));
	to->dport = netlink__number(netlink__within(proto, CTA_PROTO_DST_PORT));
	return take_address(to->saddr, ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC) &&
	       take_address(to->daddr, ip, CTA_IP_V4_DST, CTA_IP_V6_DST);
}

/* ---- questions ---- */

/* A tracked flow: what the end that opened it sends, and what the other one answers, each as sent. */
struct tracked {
	struct flow_key original, reply;
	bool found;
};

static void on_tracked(void *to, const struct nlmsghdr *answer)
{
	struct tracked *t = to;
	size_t body = sizeof(struct nfgenmsg);

	t->found = take_tuple(&t->original, netlink__find(answer, body, CTA_TUPLE_ORIG)) &&
		   take_tuple(&t->reply, netlink__find(answer, body, CTA_TUPLE_REPLY));
}

/* Whether it was sent by the end that opened the flow, or is its answer, the kernel finds out. */
static int find_tracked(struct nat *n, const struct flow_key *key, struct tracked *out)
{
	struct netlink_request r = {
		.head = { .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET },
		.netfilter = { .nfgen_family = key->family == 4 ? AF_INET : AF_INET6 },
	};
	int err;

	if (n->netlink < 0)
		n->netlink = netlink__open(NETLINK_NETFILTER);
	if (n->netlink < 0)
		return n->netlink;
	*out = (struct tracked){ .original = *key, .reply = *key };
	if (key->family == 4)
		put_tuple4(&r, key);
	else
		put_tuple6(&r, key);
	err = netlink__ask_on(n->netlink, &r, sizeof(r.netfilter), on_tracked, out);
	if (err && err != -ENOENT) { /* what is still to come must not answer the next question */
		close(n->netlink);
		n->netlink = -1;
	}
	return err ? err : out->found ? 0 : -ENOENT;
}

static bool is_same(const struct flow_key *a, const struct flow_key *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* The end that opened the flow sees `original`, the other one `reply`, wherever they are looked at. */
static int tell_ends(const struct tracked *t, const struct flow_key *key, struct flow_key *near,
		     struct flow_key *far)
{
	struct flow_key back = flow_key__reversed(key);
	bool opened = is_same(key, &t->original) || is_same(&back, &t->reply);

	*near = opened ? t->original : t->reply;
	*far = opened ? t->reply : t->original;
	return !is_same(near, key) || !is_same(far, &back);
}

int nat__ask(struct nat *n, const struct flow_key *key, struct flow_key *near, struct flow_key *far)
{
	struct flow_key back = flow_key__reversed(key);
	struct tracked t;
	int err;

	if (n->err || !is_tracking(n))
		return n->err ? n->err : -ENOENT;
	err = find_tracked(n, key, &t);
	if (err == -ENOENT)
		err = find_tracked(n, &back, &t);
	if (!err)
		return tell_ends(&t, key, near, far);
	if (err != -ENOENT && err != -EAGAIN && err != -EINTR) {
		n->err = err;
		say(SAY_NOTE,
		    "ask the kernel's connection tracking: %s; flows behind NAT keep no owner here; it takes CAP_NET_ADMIN and nf_conntrack_netlink",
		    strerror(-err));
	}
	return err;
}
