// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Flows that pass through: owners in other namespaces, NAT, both ends, and what counts once. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "attrib/join.h"

enum { HOST = 100, POD_A = 200, POD_B = 300, AWAY = 400 };          /* namespaces */
enum { UPLINK, VETH_A, VETH_B };                                    /* links */
enum { IF_LO = 1, IF_UPLINK = 2, IF_A = 11, IF_B = 12, IF_X = 13 }; /* ifindexes */

static struct join *j;
static uint64_t now;

static struct reported {
	struct flow_view view;
	struct who who, peer;
} records[16];
static unsigned n_records;

/* "10.0.0.1:80" and so on, IPv4 only */
static struct flow_key key(int proto, const char *from, int sport, const char *to, int dport)
{
	struct flow_key k = { .sport = htons(sport), .dport = htons(dport), .proto = proto };

	k.family = 4;
	k.saddr[10] = k.saddr[11] = k.daddr[10] = k.daddr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, from, k.saddr + 12), 1);
	assert_int_equal(inet_pton(AF_INET, to, k.daddr + 12), 1);
	return k;
}

static struct flow_key on(unsigned link, struct flow_key k)
{
	k.link = link;
	return k;
}

/* A container's connection, as its socket sees it; both containers have the same. */
static struct flow_key inside(void)
{
	return key(IPPROTO_TCP, "10.0.0.2", 4444, "192.0.2.1", 80);
}

/* On the host's uplink, masqueraded. */
static struct flow_key outside(int port)
{
	return on(UPLINK, key(IPPROTO_TCP, "198.51.100.7", port, "192.0.2.1", 80));
}

/* On the host's end of its veth: the far end is the container's. */
static struct flow_key at_veth(unsigned link)
{
	struct flow_key k = inside();

	return on(link, flow_key__reversed(&k));
}

static void socket_in(uint64_t netns, uint64_t cookie, uint32_t pid, struct flow_key k)
{
	struct owner_event e = {
		.kind = OWNER_SOCKET, .cookie = cookie, .netns = netns, .key = k, .how = OWNER_EXACT
	};

	e.who = (struct who){ .pid = pid, .start = pid };
	assert_int_equal(join__owner(j, &e), 0);
}

static void gone(uint64_t cookie)
{
	struct owner_event e = { .kind = OWNER_GONE, .cookie = cookie };

	assert_int_equal(join__owner(j, &e), 0);
}

static void came_by(uint32_t ifindex, struct flow_key k)
{
	struct owner_event e = {
		.kind = OWNER_PASSED, .netns = HOST, .key = k, .ifindex = ifindex
	};

	e.key.link = 0;
	assert_int_equal(join__owner(j, &e), 0);
}

static void add(struct flow_key k, int dir, uint64_t packets)
{
	struct count n = { packets, packets * 100 };
	uint32_t handle = UINT32_MAX;

	assert_int_equal(join__add(j, &k, dir, &n, 0, now, &handle), 0);
}

static void on_view(void *to, const struct flow_view *v)
{
	struct reported *r = &records[n_records++];

	(void)to;
	assert_true(n_records < 16);
	*r = (struct reported){ .view = *v };
	if (v->who)
		r->who = *v->who;
	if (v->peer)
		r->peer = *v->peer;
}

/* The round ends: what is counted next is another harvest's. */
static void report(void)
{
	n_records = 0;
	join__report(j, now, on_view, NULL);
	join__tick(j, now);
	now++;
}

static const struct reported *record_of(uint32_t pid)
{
	unsigned i;

	for (i = 0; i < n_records; i++)
		if (records[i].who.pid == pid)
			return &records[i];
	return NULL;
}

static void hold(struct behind_address *a, const char *text, uint64_t netns)
{
	struct flow_key k = key(0, text, 0, text, 0);

	memcpy(a->address, k.saddr, sizeof(a->address));
	a->netns = netns;
}

static int setup(void **state)
{
	static const struct behind_link links[] = { { IF_LO, 0, HOST },
						    { IF_B, 0, POD_B },
						    { IF_A, 0, POD_A } };
	struct behind_address addresses[4];

	(void)state;
	now = 1;
	assert_int_equal(join__open(&j, &(struct join_opts){ .live = true, .nat = true }), 0);
	for (uint16_t link = UPLINK; link <= VETH_B; link++) {
		static const uint32_t ifindex[] = { IF_UPLINK, IF_A, IF_B };

		join__set_netns(j, link, HOST);
		join__set_ifindex(j, link, ifindex[link]);
	}
	hold(&addresses[0], "10.0.0.2", POD_A);
	hold(&addresses[1], "10.0.0.2", POD_B);
	hold(&addresses[2], "198.51.100.7", HOST);
	addresses[3] = addresses[2]; /* and one of IPv6 */
	addresses[3].address[0] = 0xfd;
	return join__set_behind(j, links, 3, addresses, 4);
}

static int teardown(void **state)
{
	(void)state;
	join__close(j);
	return 0;
}

/* ---- a NAT that knows two flows ---- */

static int nat_asked;
static bool nat_forgot, nat_swapped;

static int translate(void *to, const struct flow_key *k, struct flow_key *near,
		     struct flow_key *far)
{
	(void)to;
	nat_asked++;
	if (k->link != UPLINK || nat_forgot)
		return -ENOENT;
	*near = inside();
	if (nat_swapped)
		near->sport = htons(5555);
	*far = flow_key__reversed(k);
	return 1;
}

static void ask_nat(void)
{
	nat_asked = 0;
	join__ask_nat(j, translate, NULL);
}

/* ---- tests ---- */

static void routed(void **state)
{
	(void)state;
	socket_in(POD_A, 1, 7, inside());
	add(at_veth(VETH_A), 1, 5);
	report();
	assert_int_equal(n_records, 1);
	assert_int_equal(records[0].who.pid, 7);
	assert_true(records[0].view.far);
	assert_int_equal(records[0].view.how, OWNER_EXACT);
	/* the other container's veth has the same tuple, and nobody behind it who owns it */
	add(at_veth(VETH_B), 1, 5);
	report();
	assert_int_equal(records[0].who.pid, 0);
	/* the owner may be announced later */
	socket_in(POD_B, 2, 8, inside());
	add(at_veth(VETH_B), 1, 5);
	add(at_veth(VETH_A), 1, 5);
	report();
	assert_non_null(record_of(7));
	assert_non_null(record_of(8));
}

/* The same tuple in two namespaces: where it came in decides; without that nobody has it. */
static void same_tuples(void **state)
{
	struct flow_key k = on(UPLINK, inside());

	(void)state;
	socket_in(POD_A, 1, 7, inside());
	socket_in(POD_B, 2, 8, inside());
	add(k, 0, 3);
	report();
	assert_int_equal(records[0].who.pid, 0);
	came_by(IF_B, k);
	add(k, 0, 3);
	report();
	assert_int_equal(records[0].who.pid, 8);
	assert_false(records[0].view.far);
	assert_int_equal(records[0].view.sent.packets, 3);
}

/* A socket in a namespace that is behind nothing of ours, or behind another interface, is never meant. */
static void never_elsewhere(void **state)
{
	struct flow_key k = on(UPLINK, inside());

	(void)state;
	socket_in(AWAY, 1, 7, inside());
	came_by(IF_A, k);
	add(k, 0, 3);
	add(at_veth(VETH_A), 1, 3);
	report();
	assert_null(record_of(7));
	socket_in(POD_A, 2, 8, inside());
	add(at_veth(VETH_B), 1, 3);
	report();
	assert_null(record_of(8));
}

/* What ends at an address of the host's own is not the container's with whom it speaks: that is the peer. */
static void own_address(void **state)
{
	struct flow_key k = key(IPPROTO_TCP, "10.0.0.2", 4444, "198.51.100.7", 22);
	struct flow_key here = flow_key__reversed(&k);

	(void)state;
	socket_in(POD_A, 1, 7, k);
	add(on(VETH_A, here), 1, 1);
	report();
	assert_int_equal(records[0].who.pid, 0);
	assert_int_equal(records[0].peer.pid, 7);
	socket_in(HOST, 2, 9, here);
	add(on(VETH_A, here), 0, 1);
	report();
	assert_int_equal(records[0].who.pid, 9);
	assert_int_equal(records[0].peer.pid, 7);
	assert_int_equal(records[0].view.peer_how, OWNER_EXACT);
}

static void masqueraded(void **state)
{
	(void)state;
	socket_in(POD_A, 1, 7, inside());
	socket_in(POD_B, 2, 8, inside());
	came_by(IF_A, outside(1111));
	came_by(IF_B, outside(2222));
	add(outside(1111), 0, 1);
	add(outside(2222), 0, 2);
	ask_nat();
	assert_int_equal(nat_asked, 2);
	report();
	assert_int_equal(n_records, 2);
	assert_int_equal(record_of(7)->view.sent.packets, 1);
	assert_int_equal(record_of(8)->view.sent.packets, 2);
	assert_false(record_of(7)->view.far);
	ask_nat(); /* what is known is not asked again */
	assert_int_equal(nat_asked, 0);
}

/* A local flow is nothing to ask a NAT about. */
static void asks_about_strangers_only(void **state)
{
	struct flow_key k = on(UPLINK, key(IPPROTO_TCP, "198.51.100.7", 9, "192.0.2.1", 80));

	(void)state;
	socket_in(HOST, 1, 7, k);
	add(k, 0, 1);
	ask_nat();
	assert_int_equal(nat_asked, 0);
	nat_forgot = true;
	add(outside(1111), 0, 1);
	for (int i = 0; i < 5; i++)
		ask_nat();
	nat_forgot = false;
	assert_int_equal(nat_asked, 0); /* gave up */
}

/* The tuple outside goes to another container's socket once the first is closed: never a packet to the wrong one. */
static void tuple_is_given_again(void **state)
{
	struct flow_key other = inside();

	(void)state;
	other.sport = htons(5555);
	socket_in(POD_A, 1, 7, inside());
	came_by(IF_A, outside(1111));
	add(outside(1111), 0, 1);
	ask_nat();
	report();
	assert_non_null(record_of(7));
	gone(1);
	for (int i = 0; i < 3; i++) { /* late packets of the same: still its own */
		add(outside(1111), 0, 1);
		ask_nat();
		report();
		assert_int_equal(record_of(7)->view.sent.packets, 1);
	}
	nat_swapped = true;
	socket_in(POD_A, 2, 8, other);
	add(on(VETH_B, at_veth(VETH_B)), 0, 1);
	report();
	add(outside(1111), 0, 5);
	ask_nat();
	report();
	nat_swapped = false;
	assert_null(record_of(7));
	assert_int_equal(record_of(8)->view.sent.packets, 5);
}

/* In by the veth, out by the uplink: one of the records is for totals. Two containers' flows stay two. */
static void counts_once(void **state)
{
	(void)state;
	socket_in(POD_A, 1, 7, inside());
	socket_in(POD_B, 2, 8, inside());
	came_by(IF_A, outside(1111));
	came_by(IF_B, outside(2222));
	add(outside(1111), 0, 1);
	add(outside(2222), 0, 2);
	add(at_veth(VETH_A), 1, 1);
	add(at_veth(VETH_B), 1, 2);
	ask_nat();
	report();
	assert_int_equal(n_records, 4);
	for (unsigned i = 0; i < n_records; i++) {
		assert_int_equal(records[i].view.repeated, records[i].view.key->link != UPLINK
								   ? REPEATED_OWNER
								   : REPEATED_NOT);
		assert_int_not_equal(records[i].who.pid, 0);
	}
	/* dropped before the uplink: then the veth's are all there is, but for those that passed during a harvest */
	add(at_veth(VETH_A), 1, 1);
	report();
	assert_true(records[0].view.repeated);
	add(at_veth(VETH_A), 1, 1);
	report();
	add(at_veth(VETH_A), 1, 1);
	report();
	assert_int_equal(n_records, 1);
	assert_false(records[0].view.repeated);
}

/* A bond (the uplink) on two ports, which share its flow: the ports' packets are for totals, and all of them. */
static void bonded(void **state)
{
	struct flow_key k = key(IPPROTO_TCP, "198.51.100.7", 80, "192.0.2.9", 1111);

	(void)state;
	join__set_level(j, UPLINK, 1, 0);
	join__set_level(j, VETH_A, 0, IF_UPLINK);
	join__set_level(j, VETH_B, 0, IF_UPLINK);
	socket_in(HOST, 1, 7, k);
	for (uint16_t link = UPLINK; link <= VETH_B; link++)
		add(on(link, k), 0, 5);
	report();
	assert_int_equal(n_records, 3);
	for (unsigned i = 0; i < n_records; i++) {
		assert_int_equal(records[i].view.repeated, records[i].view.key->link == UPLINK
								   ? REPEATED_OWNER
								   : REPEATED_NOT);
		assert_int_equal(records[i].who.pid, 7);
	}
	/* a port of nothing any more: it counts what the other one has counted */
	join__set_level(j, VETH_B, 0, 0);
	add(on(VETH_A, k), 0, 5);
	add(on(VETH_B, k), 0, 5);
	report();
	for (unsigned i = 0; i < n_records; i++)
		assert_int_equal(records[i].view.repeated, records[i].view.key->link == VETH_B
								   ? REPEATED_OWNER
								   : REPEATED_NOT);
}

/* Two of this host's namespaces with addresses of their own, one behind each veth. */
static void stand_apart(void)
{
	static const struct behind_link links[] = {
		{ IF_LO, 0, HOST },
		{ IF_A, 0, POD_A },
		{ IF_B, 0, POD_B },
	};
	struct behind_address addresses[2];

	hold(&addresses[0], "10.0.0.2", POD_A);
	hold(&addresses[1], "10.0.0.3", POD_B);
	assert_true(join__is_ambiguous(j));
	assert_true(join__set_behind(j, links, 3, addresses, 2) >= 0);
	assert_false(join__is_ambiguous(j));
}

static const struct reported *record_on(unsigned link)
{
	for (unsigned i = 0; i < n_records; i++)
		if (records[i].view.key->link == link)
			return &records[i];
	fail_msg("no record on link %u", link);
	return NULL;
}

/* From one of two veths to the other, and both ends on this host: a total has one record, and each owner has one. */
static void passes_between(void **state)
{
	struct flow_key k = key(IPPROTO_UDP, "10.0.0.2", 4444, "10.0.0.3", 5000);
	struct flow_key back = flow_key__reversed(&k);

	(void)state;
	stand_apart();
	socket_in(POD_A, 1, 7, k);
	socket_in(POD_B, 2, 8, back);
	for (int dir = 0; dir < 2; dir++) {
		add(on(VETH_A, back), dir,
		    5); /* the end on this side of the veth is the other one's */
		add(on(VETH_B, k), !dir, 5);
	}
	report();
	assert_int_equal(n_records, 2);
	assert_int_equal(record_on(VETH_A)->who.pid, 8);
	assert_int_equal(record_on(VETH_A)->peer.pid, 7);
	assert_int_equal(record_on(VETH_A)->view.repeated, REPEATED_NOT);
	assert_int_equal(record_on(VETH_B)->who.pid, 7);
	assert_int_equal(record_on(VETH_B)->peer.pid, 8);
	assert_int_equal(record_on(VETH_B)->view.repeated, REPEATED_PEER);
	/* what comes in and does not go out again is the first one's alone; what only the second one has, nobody else's */
	add(on(VETH_B, k), 0, 5);
	report();
	report();
	add(on(VETH_B, k), 0, 5);
	report();
	assert_int_equal(record_on(VETH_B)->view.repeated, REPEATED_NOT);
}

/* Between two hosts elsewhere, in by one card and out by another: once. Seen from the same side it may be two flows. */
static void passes_for_others(void **state)
{
	struct flow_key k = key(IPPROTO_UDP, "192.0.2.9", 999, "192.0.2.10", 53);

	(void)state;
	add(on(UPLINK, k), 1, 5);
	add(on(VETH_A, flow_key__reversed(&k)), 0, 5);
	report();
	assert_int_equal(record_on(UPLINK)->view.repeated, REPEATED_NOT);
	assert_int_equal(record_on(VETH_A)->view.repeated, REPEATED_OWNER);
	add(on(UPLINK, key(IPPROTO_UDP, "192.0.2.7", 999, "192.0.2.8", 53)), 1, 5);
	add(on(VETH_A, key(IPPROTO_UDP, "192.0.2.7", 999, "192.0.2.8", 53)), 1, 5);
	report();
	assert_int_equal(record_on(UPLINK)->view.repeated, REPEATED_NOT);
	assert_int_equal(record_on(VETH_A)->view.repeated, REPEATED_NOT);
}

/* A container's UDP socket that is bound and not connected. */
static void unconnected(void **state)
{
	struct flow_key k = key(IPPROTO_UDP, "0.0.0.0", 53, "0.0.0.0", 0);
	struct flow_key seen = key(IPPROTO_UDP, "192.0.2.9", 999, "10.0.0.2", 53);

	(void)state;
	socket_in(POD_A, 1, 7, k);
	add(on(VETH_A, seen), 0, 1);
	add(on(VETH_B, seen), 0, 1);
	report();
	assert_int_equal(n_records, 2);
	assert_int_equal(record_of(7)->view.key->link, VETH_A);
	assert_int_equal(record_of(0)->view.key->link, VETH_B);
	/* nobody answers at another address of that container */
	seen = key(IPPROTO_UDP, "192.0.2.9", 999, "10.0.0.3", 53);
	add(on(VETH_A, seen), 0, 1);
	report();
	assert_int_equal(records[0].who.pid, 0);
}

/* :: takes IPv4, too, unless its socket says that it does not. */
static void only_ipv6(void **state)
{
	struct flow_key any = { .sport = htons(53), .proto = IPPROTO_UDP, .family = 6 };
	struct flow_key seen = key(IPPROTO_UDP, "198.51.100.7", 53, "192.0.2.9", 999);
	struct owner_event e = {
		.kind = OWNER_SOCKET, .cookie = 1, .netns = HOST, .key = any, .how = OWNER_BOUND
	};

	(void)state;
	e.who = (struct who){ .pid = 7, .start = 7 };
	e.only6 = 1;
	assert_int_equal(join__owner(j, &e), 0);
	add(on(UPLINK, seen), 1, 1);
	report();
	assert_int_equal(records[0].who.pid, 0);
	seen.family = 6;
	seen.saddr[0] = seen.daddr[0] = 0xfd;
	add(on(UPLINK, seen), 1, 1);
	report();
	assert_int_equal(records[0].who.pid, 7);
	e.only6 = 0;
	e.cookie = 2;
	e.key.sport = htons(54);
	assert_int_equal(join__owner(j, &e), 0);
	add(on(UPLINK, key(IPPROTO_UDP, "198.51.100.7", 54, "192.0.2.9", 999)), 1, 1);
	report();
	assert_int_equal(records[0].who.pid, 7);
}

/* A port alone says nothing of a packet for another host's address; of one for us, or for many, it does. */
static void passing_a_bound_port(void **state)
{
	static const struct {
		const char *at;
		uint32_t pid;
	} rows[] = { { "192.0.2.77", 0 },  { "198.51.100.7", 7 },    { "224.0.0.251", 7 },
		     { "127.0.0.53", 7 },  { "255.255.255.255", 7 }, { "240.0.0.1", 0 },
		     { "198.51.100.8", 0 } };
	struct flow_key any = key(IPPROTO_UDP, "0.0.0.0", 5000, "0.0.0.0", 0);
	unsigned i;

	(void)state;
	memset(any.saddr, 0, 16);
	memset(any.daddr, 0, 16);
	any.dport = 0;
	socket_in(HOST, 1, 7, any);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		add(on(UPLINK, key(IPPROTO_UDP, rows[i].at, 5000, "192.0.2.9", 999)), 1, 1);
		report();
		assert_int_equal(n_records, 1);
		if (records[0].who.pid != rows[i].pid)
			fail_msg("%s is of %u", rows[i].at, records[0].who.pid);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(routed),
		TEST(same_tuples),
		TEST(never_elsewhere),
		TEST(own_address),
		TEST(masqueraded),
		TEST(asks_about_strangers_only),
		TEST(tuple_is_given_again),
		TEST(counts_once),
		TEST(bonded),
		TEST(passes_between),
		TEST(passes_for_others),
		TEST(unconnected),
		TEST(only_ipv6),
		TEST(passing_a_bound_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
