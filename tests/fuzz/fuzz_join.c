// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Random sequences of packets, owner events, reports and ticks. Checked against a plain model: for each flow what was
 * reported is what was added, and no record names a process that was not announced, with that quality, for a socket
 * that stood where the flow's packets go, or that was tied to them.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attrib/join.h"

#define COOKIES 8
#define PIDS 5
#define LINKS 3
#define NAMESPACES 2
#define ADDRESSES 5 /* two IPv4, one IPv6, the two wildcards */
#define PORTS 4     /* 0 to 3 */
#define ENDS (ADDRESSES * PORTS)

static const char *const addresses[ADDRESSES] = { "10.0.0.1", "10.0.0.2", "fd00::1", "0.0.0.0",
						  "::" };
enum { ANY4 = 3, ANY6 = 4 };

/* A tuple: protocol, own address and port, the peer's address and port, each by its number. */
struct tuple {
	unsigned proto, address, port, peer, peer_port;
};

struct model {
	uint64_t added[LINKS][2][ENDS][ENDS], reported[LINKS][2][ENDS][ENDS];
	bool stood[COOKIES][NAMESPACES][2][ENDS][ENDS];
	bool tied[COOKIES][NAMESPACES][2][ENDS][ENDS];
	bool announced[COOKIES][PIDS][OWNER_HOW_N];
	uint32_t handle[16];
};

static struct model *model;
static struct join *join;

struct input {
	const uint8_t *at, *end;
};

static unsigned take(struct input *in, unsigned below)
{
	return in->at < in->end ? *in->at++ % below : 0;
}

static struct tuple take_tuple(struct input *in)
{
	struct tuple t = { .proto = take(in, 2) };

	t.address = take(in, ADDRESSES);
	t.port = take(in, PORTS);
	t.peer = take(in, ADDRESSES);
	t.peer_port = take(in, PORTS);
	return t;
}

static void address(__u8 *out, unsigned number)
{
	memset(out, 0, 16);
	if (strchr(addresses[number], ':')) {
		inet_pton(AF_INET6, addresses[number], out);
		return;
	}
	out[10] = out[11] = 0xff;
	inet_pton(AF_INET, addresses[number], out + 12);
}

static bool is_ip4(unsigned number)
{
	return !strchr(addresses[number], ':');
}

static struct flow_key key_of(const struct tuple *t, unsigned link)
{
	struct flow_key k = { .sport = htons(t->port),
			      .dport = htons(t->peer_port),
			      .proto = t->proto ? IPPROTO_UDP : IPPROTO_TCP,
			      .family = is_ip4(t->address) ? 4 : 6,
			      .link = link };

	address(k.saddr, t->address);
	address(k.daddr, t->peer);
	return k;
}

static unsigned number_of(const __u8 *a)
{
	__u8 other[16];
	unsigned i;

	for (i = 0; i < ADDRESSES; i++) {
		address(other, i);
		if (!memcmp(a, other, 16))
			return i;
	}
	abort();
}

static struct tuple tuple_of(const struct flow_key *k)
{
	return (struct tuple){ k->proto == IPPROTO_UDP, number_of(k->saddr), ntohs(k->sport),
			       number_of(k->daddr), ntohs(k->dport) };
}

static unsigned netns_of(unsigned link)
{
	return link == 2;
}

/* ---- what may be said ---- */

/* Did this socket ever stand there: at the tuple, or bound to an address (peer unknown)? */
static bool stood(unsigned c, unsigned ns, const struct tuple *t, unsigned at, bool bound)
{
	unsigned end = at * PORTS + t->port, peer;

	if (!bound)
		return t->peer_port &&
		       model->stood[c][ns][t->proto][end][t->peer * PORTS + t->peer_port];
	for (peer = 0; peer < ENDS; peer++)
		if (model->stood[c][ns][t->proto][end][peer] &&
		    (peer % PORTS == 0 || at >= ANY4 || peer / PORTS >= ANY4))
			return true;
	return false;
}

static bool may_own(unsigned c, unsigned ns, const struct tuple *t)
{
	if (model->tied[c][ns][t->proto][t->address * PORTS + t->port]
		       [t->peer * PORTS + t->peer_port])
		return true;
	return stood(c, ns, t, t->address, false) || stood(c, ns, t, t->address, true) ||
	       (is_ip4(t->address) && stood(c, ns, t, ANY4, true)) || stood(c, ns, t, ANY6, true);
}

/* A listener's claim is made of whatever is known of the listening socket. */
static bool was_announced(unsigned c, unsigned pid, enum owner_how how)
{
	unsigned h;

	if (how != OWNER_LISTENER)
		return model->announced[c][pid][how];
	for (h = 0; h < OWNER_HOW_N; h++)
		if (model->announced[c][pid][h])
			return true;
	return false;
}

static void check_owner(const struct flow_view *v, const struct tuple *t)
{
	unsigned c;

	if (!v->who) {
		if (v->how != OWNER_NONE || v->cookie)
			abort();
		return;
	}
	for (c = 0; c < COOKIES; c++)
		if ((!v->cookie || v->cookie == c + 1) && may_own(c, netns_of(v->key->link), t) &&
		    was_announced(c, v->who->pid - 1, v->how))
			return;
	fprintf(stderr, "pid %u was never announced for this\n", v->who->pid);
	abort();
}

static void on_view(void *to, const struct flow_view *v)
{
	struct flow_key back = flow_key__reversed(v->key);
	struct tuple t = tuple_of(v->key);

	(void)to;
	if (v->start > v->end || (!v->sent.packets && !v->received.packets) ||
	    v->sent.packets > v->all_sent.packets || v->received.packets > v->all_received.packets)
		abort();
	model->reported[v->key->link][t.proto][t.address * PORTS + t.port]
		       [t.peer * PORTS + t.peer_port] += v->sent.packets + v->received.packets;
	check_owner(v, &t);
	join__who(join, &back, NULL);
}

static void check_sums(void)
{
	join__report(join, 0, on_view, NULL);
	if (memcmp(model->added, model->reported, sizeof(model->added)))
		abort();
}

/* ---- what is done ---- */

static void add(struct input *in, uint64_t now)
{
	struct tuple t = take_tuple(in);
	unsigned link = take(in, LINKS), how = take(in, 256);
	struct count n = { how % 4, how % 4 * 60 };
	struct flow_key k = key_of(&t, link);
	uint32_t *handle = &model->handle[how >> 4];

	if (join__add(join, &k, how >> 2 & 1, &n, take(in, 16), now, handle))
		abort();
	model->added[link][t.proto][t.address * PORTS + t.port][t.peer * PORTS + t.peer_port] +=
		n.packets;
}

static void owner(struct input *in)
{
	unsigned c = take(in, COOKIES), pid = take(in, PIDS + 1), how = take(in, OWNER_HOW_N);
	struct owner_event e = { .cookie = c + 1, .kind = 1 + take(in, 5), .how = how };
	struct tuple t = take_tuple(in);
	unsigned ns = take(in, NAMESPACES), end = t.address * PORTS + t.port,
		 peer = t.peer * PORTS + t.peer_port;

	e.netns = ns + 1;
	e.key = key_of(&t, 0);
	e.listening = take(in, 2);
	e.who.pid = pid;
	if (e.kind == OWNER_SOCKET)
		model->stood[c][ns][t.proto][end][peer] = true;
	if (e.kind == OWNER_TIE)
		model->tied[c][ns][t.proto][end][peer] = true;
	if (pid && e.kind <= OWNER_TIE)
		model->announced[c][pid - 1][how] = true;
	if (join__owner(join, &e))
		abort();
}

static void one(struct input *in, uint64_t *now)
{
	switch (take(in, 16)) {
	case 0:
		join__report(join, *now, on_view, NULL);
		break;
	case 1:
		join__tick(join, *now);
		break;
	case 2:
		*now += take(in, 64);
		break;
	case 3:
		join__snapshot_begins(join);
		break;
	case 4:
		join__snapshot_ends(join);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		add(in, *now);
		break;
	default:
		owner(in);
	}
}

/* With everything quiet and closed, nothing may be left. */
static void check_empty(uint64_t now)
{
	struct owner_event e = { .kind = OWNER_GONE };
	struct join_stats s;
	int i;

	for (e.cookie = 1; e.cookie <= COOKIES; e.cookie++)
		join__owner(join, &e);
	for (i = 0; i < 6; i++) {
		now += 100;
		join__tick(join, now);
		join__report(join, now, on_view, NULL);
	}
	join__tick(join, now);
	join__stats(join, &s);
	if (s.flows || s.sockets || s.owners)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct join_opts opts = { .live = true, .forget_after = 30 };
	struct input in = { data, data + size };
	uint64_t now = 1;
	unsigned link;

	model = calloc(1, sizeof(*model));
	if (!model || join__open(&join, &opts))
		abort();
	for (link = 0; link < LINKS; link++)
		join__set_netns(join, link, netns_of(link) + 1);
	while (in.at < in.end)
		one(&in, &now);
	check_sums();
	check_empty(now);
	join__close(join);
	free(model);
	return 0;
}
