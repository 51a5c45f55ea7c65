// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The aggregator: what is counted adds up, and belongs to whom it belongs. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "attrib/join.h"

#define NONE UINT32_MAX
#define HOST 100 /* the network namespace of link 0 and 1 */
#define POD 200  /* of link 2 */
#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP
#define RECORDS_MAX 64

/* What the last report said; keys and owners by value. */
struct reported {
	struct flow_view view;
	struct flow_key key;
	struct who who;
};

static struct reported records[RECORDS_MAX];
static unsigned n_records;
static uint64_t reported_packets;
static struct join *j;

static void address(__u8 *out, const char *text)
{
	memset(out, 0, 16);
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, out), 1);
		return;
	}
	out[10] = out[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, out + 12), 1);
}

static struct flow_key key(int proto, const char *from, int sport, const char *to, int dport)
{
	struct flow_key k = { .sport = htons(sport), .dport = htons(dport), .proto = proto };

	address(k.saddr, from);
	address(k.daddr, to);
	k.family = strchr(from, ':') && strncmp(from, "::ffff:", 7) ? 6 : 4;
	return k;
}

/* A server's and a client's flow that many tests use. */
static struct flow_key served(void)
{
	return key(TCP, "10.0.0.1", 80, "10.0.0.9", 5000);
}

static struct flow_key asked(void)
{
	return key(UDP, "10.0.0.1", 40000, "10.0.0.9", 53);
}

static struct who process(uint32_t pid)
{
	struct who w = { .pid = pid, .start = pid * 1000ull, .uid = 7 };

	snprintf(w.comm, sizeof(w.comm), "p%u", pid);
	return w;
}

static struct flow_key on_link(struct flow_key k, uint16_t link)
{
	k.link = link;
	return k;
}

static void socket_listens(uint64_t cookie, uint32_t pid, enum owner_how how, struct flow_key k,
			   bool listening)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .cookie = cookie,
				 .netns = HOST,
				 .key = k,
				 .how = how,
				 .who = process(pid),
				 .listening = listening };

	assert_int_equal(join__owner(j, &e), 0);
}

static void socket_is(uint64_t cookie, uint32_t pid, enum owner_how how, struct flow_key k)
{
	socket_listens(cookie, pid, how, k, false);
}

/* pid 0: the program that saw the frame did not know the socket's owner. */
static void tie(uint64_t cookie, uint32_t pid, struct flow_key k)
{
	struct owner_event e = { .kind = OWNER_TIE, .cookie = cookie, .netns = HOST, .key = k };

	if (pid) {
		e.who = process(pid);
		e.how = OWNER_EXACT;
	}
	assert_int_equal(join__owner(j, &e), 0);
}

static void gone(uint64_t cookie)
{
	struct owner_event e = { .kind = OWNER_GONE, .cookie = cookie };

	assert_int_equal(join__owner(j, &e), 0);
}

static void add_marked(struct flow_key k, int dir, uint64_t packets, uint64_t now, uint8_t marks)
{
	struct count n = { packets, packets * 100 };
	uint32_t handle = NONE;

	assert_int_equal(join__add(j, &k, dir, &n, marks, now, &handle), 0);
	assert_int_not_equal(handle, NONE);
}

static void add(struct flow_key k, int dir, uint64_t packets, uint64_t now)
{
	add_marked(k, dir, packets, now, 0);
}

static void on_view(void *to, const struct flow_view *v)
{
	(void)to;
	reported_packets += v->sent.packets + v->received.packets;
	if (n_records == RECORDS_MAX)
		return;
	records[n_records] = (struct reported){ .view = *v, .key = *v->key };
	if (v->who)
		records[n_records].who = *v->who;
	assert_int_equal(!v->who, v->how == OWNER_NONE);
	n_records++;
}

static unsigned report(void)
{
	n_records = 0;
	join__report(j, 0, on_view, NULL);
	return n_records;
}

/* Harvests that find something else, and what is done after each: closed sockets are forgotten by this. */
static void idle(uint64_t now)
{
	struct flow_key k = key(TCP, "10.9.9.9", 1, "10.9.9.9", 2);
	int i;

	for (i = 0; i < 4; i++) {
		add(k, 0, 1, now + i);
		report();
		join__tick(j, now + i);
	}
}

/* Packets in records of this process (0: of nobody) since the last report; each with this quality. */
static uint64_t packets_of(uint32_t pid, enum owner_how how)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < n_records; i++)
		if (records[i].who.pid == pid && records[i].view.how == how)
			sum += records[i].view.sent.packets + records[i].view.received.packets;
	return sum;
}

static uint32_t pid_of(struct flow_key k)
{
	const struct who *who = join__who(j, &k, NULL);

	return who ? who->pid : 0;
}

static enum owner_how how_of(struct flow_key k)
{
	enum owner_how how = OWNER_HOW_N;

	join__who(j, &k, &how);
	return how;
}

static int open_with(struct join_opts opts)
{
	n_records = 0;
	reported_packets = 0;
	assert_int_equal(join__open(&j, &opts), 0);
	join__set_netns(j, 0, HOST);
	join__set_netns(j, 1, HOST);
	join__set_netns(j, 2, POD);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return open_with((struct join_opts){ .live = true, .forget_after = 60 });
}

static int teardown(void **state)
{
	(void)state;
	join__close(j);
	return 0;
}

/* ---- counting ---- */

static void counts(void **state)
{
	struct flow_key a = served(), b = asked();

	(void)state;
	add(a, 0, 3, 10);
	add(a, 1, 5, 10);
	add(b, 1, 1, 10);
	add(a, 0, 4, 20);
	assert_int_equal(report(), 2);
	assert_memory_equal(&records[0].key, &a, sizeof(a));
	assert_int_equal(records[0].view.sent.packets, 7);
	assert_int_equal(records[0].view.sent.bytes, 700);
	assert_int_equal(records[0].view.received.packets, 5);
	assert_int_equal(records[0].view.received.bytes, 500);
	assert_int_equal(records[0].view.start, 10);
	assert_int_equal(records[0].view.end, 20);
	assert_int_equal(report(), 0);

	add(a, 1, 2, 30);
	assert_int_equal(report(), 1);
	assert_int_equal(records[0].view.sent.packets, 0);
	assert_int_equal(records[0].view.received.packets, 2);
	assert_int_equal(records[0].view.all_sent.packets, 7);
	assert_int_equal(records[0].view.all_received.packets, 7);
	assert_int_equal(records[0].view.all_received.bytes, 700);
	assert_int_equal(records[0].view.start, 30);
	assert_int_equal(records[0].view.end, 30);
}

/* Nothing counted is no record; links and both versions of IP are flows of their own. */
static void tells_flows_apart(void **state)
{
	struct flow_key a = served(), other = a, v6 = a;

	(void)state;
	other.link = 1;
	v6.family = 6;
	add(a, 0, 0, 10);
	assert_int_equal(report(), 0);
	add(a, 0, 1, 10);
	add(other, 0, 2, 10);
	add(v6, 0, 4, 10);
	add(flow_key__reversed(&a), 0, 8, 10);
	assert_int_equal(report(), 4);
	assert_int_equal(reported_packets, 15);
}

static void knows_stale_handles(void **state)
{
	struct flow_key a = served(), b = asked();
	uint32_t of_a = NONE, of_b = NONE, wrong;
	struct count n = { 1, 100 };

	(void)state;
	assert_int_equal(join__add(j, &a, 0, &n, 0, 10, &of_a), 0);
	report();
	join__tick(j, 100); /* a is forgotten, and b takes its place */
	assert_int_equal(join__add(j, &b, 0, &n, 0, 110, &of_b), 0);
	assert_int_equal(of_a, of_b);
	assert_int_equal(join__add(j, &a, 0, &n, 0, 110, &of_a), 0);
	assert_int_not_equal(of_a, of_b);
	wrong = 123456789;
	assert_int_equal(join__add(j, &b, 0, &n, 0, 110, &wrong), 0);
	assert_int_equal(wrong, of_b);
	assert_int_equal(report(), 2);
	assert_int_equal(records[0].view.sent.packets + records[1].view.sent.packets, 3);
}

static void turns_keys(void **state)
{
	struct flow_key low = key(TCP, "10.0.0.1", 80, "10.0.0.9", 70), k = low;

	(void)state;
	assert_false(flow_key__canonical(&k));
	k = flow_key__reversed(&low);
	assert_memory_not_equal(&k, &low, sizeof(k));
	assert_true(flow_key__canonical(&k));
	assert_memory_equal(&k, &low, sizeof(k));
	/* Same address: the lower port first, in network order. */
	k = key(TCP, "10.0.0.1", 255, "10.0.0.1", 256);
	assert_false(flow_key__canonical(&k));
	k = key(TCP, "10.0.0.1", 2, "10.0.0.1", 1);
	assert_true(flow_key__canonical(&k));
	assert_int_equal(k.sport, htons(1));
}

static const struct {
	uint8_t sent, received;
	enum opener opener;
} openers[] = {
	{ 0, 0, OPENER_UNKNOWN },
	{ FLOW_SYN, 0, OPENER_SOURCE },
	{ 0, FLOW_SYNACK, OPENER_SOURCE },
	{ FLOW_SYN, FLOW_SYNACK | FLOW_FIN, OPENER_SOURCE },
	{ FLOW_SYNACK, 0, OPENER_DESTINATION },
	{ 0, FLOW_SYN, OPENER_DESTINATION },
	{ FLOW_FIN | FLOW_RST, FLOW_FIN, OPENER_UNKNOWN },
	{ FLOW_SYN, FLOW_SYN, OPENER_UNKNOWN }, /* both at once */
};

static void knows_the_opener(void **state)
{
	struct flow_key k = served();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(openers) / sizeof(*openers); i++) {
		k.dport = htons(6000 + i);
		add_marked(k, 0, 1, 10, openers[i].sent);
		add_marked(k, 1, 1, 10, openers[i].received);
		assert_int_equal(report(), 1);
		assert_int_equal(records[0].view.opener, openers[i].opener);
		assert_int_equal(records[0].view.marks[0], openers[i].sent);
		assert_int_equal(records[0].view.marks[1], openers[i].received);
	}
}

/* ---- one flow, one socket ---- */

static void owner_comes_first(void **state)
{
	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 3, 10);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 3);
	assert_int_equal(records[0].view.cookie, 1);
	assert_string_equal(records[0].who.comm, "p5");
}

/* Pid 0 is the kernel where it says so, and else nobody: what softirq looks like. */
static void kernel_owns(void **state)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .cookie = 1,
				 .netns = HOST,
				 .key = key(UDP, "0.0.0.0", 4789, "0.0.0.0", 0),
				 .how = OWNER_BOUND,
				 .who.comm = "swapper/0" };

	(void)state;
	assert_int_equal(join__owner(j, &e), 0);
	add(key(UDP, "10.0.0.1", 4789, "10.0.0.9", 5000), 1, 3, 10);
	report();
	assert_int_equal(packets_of(0, OWNER_NONE), 3);
	memcpy(e.who.comm, KERNEL_COMM, sizeof(KERNEL_COMM));
	assert_int_equal(join__owner(j, &e), 0);
	add(key(UDP, "10.0.0.1", 4789, "10.0.0.9", 5000), 1, 4, 20);
	report();
	assert_int_equal(packets_of(0, OWNER_BOUND), 4);
	assert_non_null(records[0].view.who);
	assert_string_equal(records[0].who.comm, KERNEL_COMM);
}

static void owner_comes_later(void **state)
{
	(void)state;
	add(served(), 0, 3, 10);
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 1, 2, 20);
	assert_int_equal(report(), 1);
	assert_int_equal(packets_of(5, OWNER_EXACT), 5);

	add(asked(), 0, 3, 30);
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	assert_int_equal(report(), 1);
	assert_int_equal(packets_of(6, OWNER_EXACT), 3);

	add(key(TCP, "fd00::1", 80, "fd00::9", 5000), 0, 4, 40);
	socket_is(3, 7, OWNER_EXACT, key(TCP, "fd00::1", 80, "fd00::9", 5000));
	report();
	assert_int_equal(packets_of(7, OWNER_EXACT), 4);
}

/*
 * First A with this claim, then B with that one, on the same socket. Packet 1 before, packets 2 after: whose are they?
 */
static const struct {
	enum owner_how first;
	uint32_t then_pid;
	enum owner_how then;
	unsigned records;
	uint32_t pid[2]; /* of packet 1, of packets 2 */
	enum owner_how how[2];
} changes[] = {
	/* the same process, better known */
	{ OWNER_SNAPSHOT, 5, OWNER_EXACT, 1, { 5, 5 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_LISTENER, 5, OWNER_EXACT, 1, { 5, 5 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_BOUND, 5, OWNER_EXACT, 1, { 5, 5 }, { OWNER_EXACT, OWNER_EXACT } },
	/* a weaker claim changes nothing */
	{ OWNER_EXACT, 5, OWNER_SNAPSHOT, 1, { 5, 5 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_EXACT, 6, OWNER_SNAPSHOT, 1, { 5, 5 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_EXACT, 6, OWNER_BOUND, 1, { 5, 5 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_BOUND, 6, OWNER_LISTENER, 1, { 5, 5 }, { OWNER_BOUND, OWNER_BOUND } },
	{ OWNER_LISTENER, 6, OWNER_SNAPSHOT, 1, { 5, 5 }, { OWNER_LISTENER, OWNER_LISTENER } },
	/* handed on: each has his own */
	{ OWNER_EXACT, 6, OWNER_EXACT, 2, { 5, 6 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_SNAPSHOT, 6, OWNER_EXACT, 2, { 5, 6 }, { OWNER_SNAPSHOT, OWNER_EXACT } },
	{ OWNER_BOUND, 6, OWNER_BOUND, 2, { 5, 6 }, { OWNER_BOUND, OWNER_BOUND } },
	/* the accepter, or the first who uses it, has had it all */
	{ OWNER_LISTENER, 6, OWNER_EXACT, 1, { 6, 6 }, { OWNER_EXACT, OWNER_EXACT } },
	{ OWNER_LISTENER, 6, OWNER_BOUND, 1, { 6, 6 }, { OWNER_BOUND, OWNER_BOUND } },
	{ OWNER_BOUND, 6, OWNER_EXACT, 1, { 6, 6 }, { OWNER_EXACT, OWNER_EXACT } },
	/* two held it open, and nobody saw either use it */
	{ OWNER_SNAPSHOT, 6, OWNER_SNAPSHOT, 2, { 5, 0 }, { OWNER_SNAPSHOT, OWNER_NONE } },
};

static uint64_t packets_of_row(size_t i, int which)
{
	bool same = changes[i].pid[0] == changes[i].pid[1];

	return same ? 3 : which + 1;
}

static void owner_changes(void **state)
{
	struct flow_key k = served();
	size_t i;
	int w;

	(void)state;
	for (i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		k.dport = htons(7000 + i);
		socket_is(10 + i, 5, changes[i].first, k);
		add(k, 0, 1, 10 + 2 * i);
		socket_is(10 + i, changes[i].then_pid, changes[i].then, k);
		add(k, 0, 2, 11 + 2 * i);
		if (report() != changes[i].records)
			fail_msg("row %zu: %u records", i, n_records);
		for (w = 0; w < 2; w++)
			if (packets_of(changes[i].pid[w], changes[i].how[w]) !=
			    packets_of_row(i, w))
				fail_msg("row %zu: packets %d are somebody else's", i, w + 1);
	}
}

/* A former owner's record says what was his, and nothing after. */
static void former_owner_has_a_record(void **state)
{
	const struct reported *former, *latter;

	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 10);
	report();
	add(served(), 0, 2, 20);
	add(served(), 1, 4, 30);
	socket_is(1, 6, OWNER_EXACT, served());
	add(served(), 0, 8, 40);
	assert_int_equal(report(), 2);
	former = &records[records[0].who.pid == 5 ? 0 : 1];
	latter = &records[records[0].who.pid == 5 ? 1 : 0];
	assert_int_equal(former->view.sent.packets, 2);
	assert_int_equal(former->view.received.packets, 4);
	assert_int_equal(former->view.all_sent.packets, 3);
	assert_int_equal(former->view.start, 20);
	assert_int_equal(former->view.end, 30);
	assert_int_equal(former->view.cookie, 1);
	assert_int_equal(latter->who.pid, 6);
	assert_int_equal(latter->view.sent.packets, 8);
	assert_int_equal(latter->view.received.packets, 0);
	assert_int_equal(latter->view.all_sent.packets, 11);
	assert_int_equal(latter->view.start, 40);
}

/* With a turn, what lies between two owners' uses is nobody's; rounded up where bytes have to be shared. */
static void changes_hands(void **state)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .cookie = 1,
				 .netns = HOST,
				 .key = served(),
				 .how = OWNER_EXACT,
				 .who = process(6),
				 .turn = 1,
				 .between = { 2, 100 } };

	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 10, 10);
	add(served(), 1, 4, 10);
	assert_int_equal(join__owner(j, &e), 0);
	add(served(), 0, 7, 20);
	assert_int_equal(report(), 3);
	assert_int_equal(packets_of(5, OWNER_EXACT), 8);
	assert_int_equal(packets_of(0, OWNER_NONE), 6);
	assert_int_equal(packets_of(6, OWNER_EXACT), 7);
	add(served(), 0, 3, 30);
	socket_is(1, 5, OWNER_EXACT,
		  served()); /* without one, all that was counted is the former owner's */
	report();
	assert_int_equal(packets_of(6, OWNER_EXACT), 3);
}

/* Several use the socket, and nothing tells their packets apart: nobody's, for two harvests, and for good. */
static void is_blurred(void **state)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .time = 1000000000,
				 .cookie = 1,
				 .netns = HOST,
				 .key = key(UDP, "10.0.0.1", 40000, "0.0.0.0", 0),
				 .how = OWNER_EXACT,
				 .who = process(6),
				 .between = { BETWEEN_ALL, 0 } };

	(void)state;
	socket_is(1, 5, OWNER_EXACT, key(UDP, "10.0.0.1", 40000, "0.0.0.0", 0));
	add(asked(), 0, 1, 10);
	assert_int_equal(join__owner(j, &e), 0);
	add(asked(), 0, 2, 20);
	add(asked(), 0, 4, 30);
	add(asked(), 0, 8, 40);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	assert_int_equal(packets_of(0, OWNER_NONE), 6);
	assert_int_equal(packets_of(6, OWNER_EXACT), 8);
}

/* With a turn it begins with what the same harvest counted after it. */
static void is_blurred_at_once(void **state)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .cookie = 1,
				 .netns = HOST,
				 .key = served(),
				 .how = OWNER_EXACT,
				 .who = process(6),
				 .turn = 201,
				 .between = { BETWEEN_ALL, 0 } };

	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 10);
	report();
	add(served(), 0, 2, 20);
	assert_int_equal(join__owner(j, &e), 0);
	add(served(), 0, 4, 20);
	add(served(), 0, 8, 30);
	add(served(), 0, 16, 40);
	add(served(), 0, 32, 50);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 0);
	assert_int_equal(packets_of(0, OWNER_NONE), 2 + 4 + 8 + 16);
	assert_int_equal(packets_of(6, OWNER_EXACT), 32);
}

/* And so it does when it came about while the harvest was on its way, or soon after: what was first read then was there. */
static void is_blurred_meanwhile(void **state)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .time = 150000000,
				 .cookie = 1,
				 .netns = HOST,
				 .key = key(UDP, "10.0.0.1", 40000, "0.0.0.0", 0),
				 .how = OWNER_EXACT,
				 .who = process(6),
				 .between = { BETWEEN_ALL, 0 } };

	(void)state;
	socket_is(1, 5, OWNER_EXACT, key(UDP, "10.0.0.1", 40000, "0.0.0.0", 0));
	add(asked(), 0, 1, 10);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	add(asked(), 0, 2, 20);
	join__counted(j, 25);
	assert_int_equal(join__owner(j, &e), 0);
	add(asked(), 0, 4, 30);
	add(asked(), 0, 8, 40);
	add(asked(), 0, 16, 50);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 0);
	assert_int_equal(packets_of(0, OWNER_NONE), 2 + 4 + 8);
	assert_int_equal(packets_of(6, OWNER_EXACT), 16);
}

static void used_by_two(uint64_t cookie)
{
	struct owner_event e = { .kind = OWNER_BLURRED, .cookie = cookie, .netns = HOST };

	e.between[0] = BETWEEN_ALL;
	assert_int_equal(join__owner(j, &e), 0);
}

/* Two at the same moment: what the socket is known by stays, but for a while its packets are nobody's. */
static void is_blurred_by_two(void **state)
{
	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 10);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	add(served(), 0, 2, 20);
	used_by_two(1);
	add(served(), 0, 4, 30);
	add(served(), 0, 8, 40);
	add(served(), 0, 16, 50);
	report();
	assert_int_equal(packets_of(0, OWNER_NONE), 2 + 4 + 8);
	assert_int_equal(packets_of(5, OWNER_EXACT), 16);
}

/* Heard before anything else of that socket, or of one that is gone: nothing is left of it. */
static void is_blurred_unknown(void **state)
{
	struct join_stats s;
	int i;

	(void)state;
	used_by_two(7);
	for (i = 1; i < 8; i++) {
		add(asked(), 0, 1, 10 * i);
		join__tick(j, 10 * i);
	}
	join__stats(j, &s);
	assert_int_equal(s.sockets, 0);
}

/* A report may come long after its harvest: the packets of a socket that was closed between the two come with the next. */
static void closed_before_a_late_report(void **state)
{
	struct owner_event gone = { .kind = OWNER_GONE, .cookie = 1 };

	(void)state;
	socket_is(1, 5, OWNER_SNAPSHOT, key(UDP, "10.0.0.1", 40000, "0.0.0.0", 0));
	join__counted(j, 10);
	report();
	join__counted(j, 20);
	assert_int_equal(join__owner(j, &gone), 0);
	report();
	add(asked(), 0, 3, 30);
	join__counted(j, 30);
	report();
	assert_int_equal(packets_of(5, OWNER_SNAPSHOT), 3);
	join__counted(j, 40); /* and empty harvests count as well: what comes now is another's */
	add(key(UDP, "10.0.0.1", 40000, "10.0.0.9", 54), 0, 7, 50);
	report();
	assert_int_equal(packets_of(0, OWNER_NONE), 7);
}

/* A reused pid is somebody else; pid 0 is nobody. */
static void identity(void **state)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .cookie = 1,
				 .netns = HOST,
				 .key = served(),
				 .how = OWNER_EXACT,
				 .who = process(5) };

	(void)state;
	join__owner(j, &e);
	add(served(), 0, 1, 10);
	e.who.start++;
	join__owner(j, &e);
	add(served(), 0, 2, 20);
	assert_int_equal(report(), 2);

	e = (struct owner_event){
		.kind = OWNER_SOCKET, .cookie = 2, .netns = HOST, .key = asked(), .how = OWNER_EXACT
	};
	join__owner(j, &e);
	add(asked(), 0, 1, 30);
	report();
	assert_int_equal(packets_of(0, OWNER_NONE), 1);
}

static void takes_a_new_name(void **state)
{
	struct owner_event e = { .kind = OWNER_EXEC, .who = process(5) };

	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 10);
	strcpy(e.who.comm, "renamed");
	join__owner(j, &e);
	assert_int_equal(report(), 1);
	assert_string_equal(records[0].who.comm, "renamed");
}

/* ---- places ---- */

struct known {
	uint32_t pid;
	const char *address;
	int port;
	const char *peer;
	int peer_port;
	bool listening;
};

#define AT(pid, address, port) \
	{ \
		pid, address, port, NULL, 0, false \
	}
#define LISTENS(pid, address, port) \
	{ \
		pid, address, port, NULL, 0, true \
	}
#define TO(pid, address, port, peer, peer_port) \
	{ \
		pid, address, port, peer, peer_port, false \
	}

/* Of the sockets that are there, whose is the flow? */
static const struct {
	int proto;
	struct known known[4]; /* all EXACT but TCP listeners */
	const char *from, *to;
	uint32_t pid;
	enum owner_how how;
} lookups[] = {
	/* UDP: the tuple, then the address, then the port */
	{ UDP,
	  { TO(1, "10.0.0.1", 53, "10.0.0.9", 9), AT(2, "10.0.0.1", 53), AT(3, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  1,
	  OWNER_EXACT },
	{ UDP,
	  { TO(1, "10.0.0.1", 53, "10.0.0.8", 9), AT(2, "10.0.0.1", 53), AT(3, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  2,
	  OWNER_EXACT },
	{ UDP,
	  { AT(2, "10.0.0.2", 53), AT(3, "0.0.0.0", 53), AT(4, "::", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  3,
	  OWNER_EXACT },
	{ UDP, { AT(2, "10.0.0.2", 53), AT(4, "::", 53) }, "10.0.0.1", "10.0.0.9", 4, OWNER_EXACT },
	{ UDP,
	  { AT(2, "10.0.0.1", 54), AT(3, "0.0.0.0", 54) },
	  "10.0.0.1",
	  "10.0.0.9",
	  0,
	  OWNER_NONE },
	/* IPv6 */
	{ UDP, { AT(3, "0.0.0.0", 53) }, "fd00::1", "fd00::9", 0, OWNER_NONE },
	{ UDP, { AT(3, "0.0.0.0", 53), AT(4, "::", 53) }, "fd00::1", "fd00::9", 4, OWNER_EXACT },
	{ UDP, { AT(2, "fd00::1", 53), AT(4, "::", 53) }, "fd00::1", "fd00::9", 2, OWNER_EXACT },
	{ UDP, { AT(2, "fd00::", 53) }, "fd00::1", "fd00::9", 0, OWNER_NONE },
	/* a multicast address is the local end of what was sent to it */
	{ UDP, { AT(3, "0.0.0.0", 53) }, "224.0.0.251", "10.0.0.9", 3, OWNER_EXACT },
	/* TCP: the tuple, then who listens; a socket that is only bound has no connections */
	{ TCP,
	  { TO(1, "10.0.0.1", 53, "10.0.0.9", 9), LISTENS(2, "10.0.0.1", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  1,
	  OWNER_EXACT },
	{ TCP,
	  { LISTENS(2, "10.0.0.1", 53), LISTENS(3, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  2,
	  OWNER_LISTENER },
	{ TCP,
	  { AT(2, "10.0.0.1", 53), LISTENS(3, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  3,
	  OWNER_LISTENER },
	{ TCP, { LISTENS(4, "::", 53) }, "10.0.0.1", "10.0.0.9", 4, OWNER_LISTENER },
	{ TCP,
	  { AT(2, "10.0.0.1", 53), AT(3, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  0,
	  OWNER_NONE },
	/* several processes at one place: nobody, even where somebody holds the wildcard */
	{ UDP,
	  { AT(1, "0.0.0.0", 53), AT(2, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  0,
	  OWNER_NONE },
	{ UDP,
	  { AT(1, "10.0.0.1", 53), AT(2, "10.0.0.1", 53), AT(3, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  0,
	  OWNER_NONE },
	{ TCP,
	  { LISTENS(1, "::", 53), LISTENS(2, "::", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  0,
	  OWNER_NONE },
	{ UDP,
	  { TO(1, "10.0.0.1", 53, "10.0.0.9", 9), TO(2, "10.0.0.1", 53, "10.0.0.9", 9) },
	  "10.0.0.1",
	  "10.0.0.9",
	  0,
	  OWNER_NONE },
	{ UDP,
	  { AT(1, "0.0.0.0", 53), AT(1, "0.0.0.0", 53), AT(1, "0.0.0.0", 53) },
	  "10.0.0.1",
	  "10.0.0.9",
	  1,
	  OWNER_EXACT },
	/* of two TCP sockets with one tuple only the newer can be left */
	{ TCP,
	  { TO(1, "10.0.0.1", 53, "10.0.0.9", 9), TO(2, "10.0.0.1", 53, "10.0.0.9", 9) },
	  "10.0.0.1",
	  "10.0.0.9",
	  2,
	  OWNER_EXACT },
};

static void know(int proto, const struct known *k, uint64_t cookie)
{
	struct flow_key at = key(proto, k->address, k->port,
				 k->peer ? k->peer : "::", k->peer_port);

	socket_listens(cookie, k->pid, k->listening ? OWNER_BOUND : OWNER_EXACT, at, k->listening);
}

static void looks_up_row(size_t row, bool flow_first)
{
	struct flow_key k = key(lookups[row].proto, lookups[row].from, 53, lookups[row].to, 9);
	int i;

	setup(NULL);
	if (flow_first)
		add(k, 0, 1, 10);
	for (i = 0; i < 4; i++)
		if (lookups[row].known[i].address)
			know(lookups[row].proto, &lookups[row].known[i], i + 1);
	if (!flow_first)
		assert_int_equal(pid_of(k), lookups[row].pid);
	add(k, 1, 1, 11);
	report();
	if (packets_of(lookups[row].pid, lookups[row].how) < 1 ||
	    reported_packets != 1u + flow_first)
		fail_msg("row %zu: the flow is %u's (%d)", row, records[0].who.pid,
			 records[0].view.how);
	if (pid_of(k) != lookups[row].pid || how_of(k) != lookups[row].how)
		fail_msg("row %zu: now it is %u's (%d)", row, pid_of(k), how_of(k));
	join__close(j);
}

static void looks_up(void **state)
{
	size_t row;

	(void)state;
	for (row = 0; row < sizeof(lookups) / sizeof(*lookups); row++) {
		looks_up_row(row, false);
		looks_up_row(row, true);
	}
}

/* Several sockets of one process: which of them is not known, and the weakest claim is what can be said. */
static void group_of_one_process(void **state)
{
	struct flow_key any = key(UDP, "0.0.0.0", 40000, "::", 0);
	uint64_t cookie;

	(void)state;
	socket_is(1, 5, OWNER_EXACT, any);
	socket_is(2, 5, OWNER_SNAPSHOT, any);
	socket_is(3, 5, OWNER_EXACT, any);
	add(asked(), 1, 1, 10);
	report();
	assert_int_equal(packets_of(5, OWNER_SNAPSHOT), 1);
	assert_int_equal(records[0].view.cookie, 0);
	/* So many that looking at all of them would be an attack. */
	for (cookie = 4; cookie < 1100; cookie++)
		socket_is(cookie, 5, OWNER_EXACT, any);
	add(asked(), 1, 1, 20);
	assert_int_equal(pid_of(asked()), 0);
}

/* A peer's port 0 is a port. */
static void port_0_is_not_unknown(void **state)
{
	(void)state;
	socket_is(1, 5, OWNER_EXACT, key(TCP, "fd00::1", 80, "::", 0));
	assert_int_equal(pid_of(key(TCP, "fd00::1", 80, "::", 0)), 0);
}

static void keeps_protocols_apart(void **state)
{
	struct flow_key tcp = asked();

	(void)state;
	tcp.proto = TCP;
	socket_listens(1, 5, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0), true);
	assert_int_equal(pid_of(asked()), 5);
	assert_int_equal(pid_of(tcp), 0);
}

static void keeps_namespaces_apart(void **state)
{
	struct flow_key k = served(), second = k, pod = k, other;

	(void)state;
	second.link = 1;
	pod.link = 2;
	add(second, 0, 1, 10);
	socket_is(1, 5, OWNER_EXACT, k);
	assert_int_equal(pid_of(k), 5);
	assert_int_equal(pid_of(second), 5);
	assert_int_equal(pid_of(pod), 0);
	other = asked();
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	other.link = 2;
	assert_int_equal(pid_of(asked()), 6);
	assert_int_equal(pid_of(other), 0);
	/* A link that is moved asks again. */
	add(other, 0, 1, 20);
	join__set_netns(j, 2, HOST);
	assert_int_equal(pid_of(other), 6);
}

/* A mapped address inside an IPv6 header is not what a socket of either kind speaks. */
static void mapped_on_the_wire_is_nobodys(void **state)
{
	struct flow_key k = asked();

	(void)state;
	socket_is(1, 5, OWNER_EXACT, key(UDP, "::", 40000, "::", 0));
	assert_int_equal(pid_of(k), 5);
	k.family = 6;
	assert_int_equal(pid_of(k), 0);
}

/* Who opened a connection himself does not have it from a listener. */
static void listener_has_only_what_came(void **state)
{
	struct flow_key k = served();

	(void)state;
	socket_listens(1, 5, OWNER_BOUND, key(TCP, "0.0.0.0", 80, "::", 0), true);
	add_marked(k, 0, 1, 10, FLOW_SYN);
	assert_int_equal(pid_of(k), 0);
	k.dport = htons(5001);
	add_marked(k, 1, 1, 10, FLOW_SYN);
	assert_int_equal(pid_of(k), 5);
	assert_int_equal(how_of(k), OWNER_LISTENER);
}

/* The listener's process, until the connection's own socket says who accepted it. */
static void accepter_has_it_all(void **state)
{
	(void)state;
	socket_listens(1, 5, OWNER_BOUND, key(TCP, "0.0.0.0", 80, "::", 0), true);
	add(served(), 1, 1, 10);
	assert_int_equal(pid_of(served()), 5);
	socket_is(2, 5, OWNER_LISTENER, served());
	add(served(), 0, 1, 20);
	socket_is(2, 6, OWNER_EXACT, served());
	add(served(), 0, 1, 30);
	assert_int_equal(report(), 1);
	assert_int_equal(packets_of(6, OWNER_EXACT), 3);
	assert_int_equal(records[0].view.cookie, 2);
	/* Somebody else listens now: the connection stays where it is. */
	gone(1);
	socket_listens(3, 7, OWNER_BOUND, key(TCP, "0.0.0.0", 80, "::", 0), true);
	add(served(), 0, 1, 40);
	gone(2);
	add(served(), 0, 1, 50);
	report();
	assert_int_equal(packets_of(6, OWNER_EXACT), 2);
	/* Not even when its own socket is long forgotten, and the listener has news. */
	idle(60);
	socket_listens(4, 8, OWNER_BOUND, key(TCP, "10.0.0.1", 80, "::", 0), true);
	add(served(), 1, 1, 70);
	report();
	assert_int_equal(packets_of(6, OWNER_EXACT), 1);
}

/* connect() on a UDP socket moves it to an exact tuple: its port is not all its own any more. */
static void socket_moves(void **state)
{
	struct flow_key elsewhere = key(UDP, "10.0.0.1", 40000, "10.0.0.7", 53);

	(void)state;
	socket_is(1, 5, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	assert_int_equal(pid_of(elsewhere), 5);
	socket_is(1, 5, OWNER_EXACT, asked());
	assert_int_equal(pid_of(asked()), 5);
	assert_int_equal(pid_of(elsewhere), 0);
	/* Its neighbour is alone then. */
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	socket_is(3, 7, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	add(elsewhere, 1, 1, 10);
	assert_int_equal(pid_of(elsewhere), 0);
	socket_is(3, 7, OWNER_EXACT, key(UDP, "10.0.0.1", 40000, "10.0.0.8", 53));
	add(elsewhere, 1, 1, 20);
	assert_int_equal(pid_of(elsewhere), 6);
	/* Between bind() and connect() it may know its peer, but not yet its own address: still all the port's. */
	socket_is(4, 8, OWNER_EXACT, key(UDP, "0.0.0.0", 40009, "10.0.0.8", 53));
	assert_int_equal(pid_of(key(UDP, "10.0.0.1", 40009, "10.0.0.8", 53)), 8);
}

/* ---- several processes at one port ---- */

static void group_is_nobodys(void **state)
{
	struct flow_key k = asked(), any = key(UDP, "0.0.0.0", 40000, "::", 0);

	(void)state;
	socket_is(1, 5, OWNER_EXACT, any);
	add(k, 1, 1, 10);
	socket_is(2, 6, OWNER_EXACT, any);
	add(k, 1, 2, 20);
	assert_int_equal(report(), 2);
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	assert_int_equal(packets_of(0, OWNER_NONE), 2);
	/* The one that is left gets what comes, not what was there when there were two. */
	add(k, 1, 4, 30);
	gone(2);
	add(k, 1, 8, 40); /* it may still have had these */
	add(k, 1, 16, 50);
	report();
	assert_int_equal(packets_of(0, OWNER_NONE), 12);
	assert_int_equal(packets_of(5, OWNER_EXACT), 16);
}

static void tie_decides(void **state)
{
	struct flow_key k = asked(), other = key(UDP, "10.0.0.1", 40000, "10.0.0.7", 53);

	(void)state;
	socket_is(1, 5, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	add(k, 1, 1, 10);
	assert_int_equal(pid_of(k), 0);
	tie(2, 0, k);
	add(k, 0, 2, 20);
	assert_int_equal(pid_of(k), 6);
	assert_int_equal(pid_of(other), 0);
	assert_int_equal(report(), 1);
	assert_int_equal(packets_of(6, OWNER_EXACT), 3);
	assert_int_equal(records[0].view.cookie, 2);
	/* The other one answers the same peer. */
	add(k, 0, 4, 30);
	tie(1, 0, k);
	add(k, 0, 8, 40);
	assert_int_equal(report(), 2);
	assert_int_equal(packets_of(6, OWNER_EXACT), 4);
	assert_int_equal(packets_of(5, OWNER_EXACT), 8);
	/* Even where somebody else is connected to it. */
	socket_is(9, 9, OWNER_EXACT, k);
	assert_int_equal(pid_of(k), 5);
	gone(9);
	/* And the tied socket is handed on. */
	add(k, 0, 1, 50);
	socket_is(1, 7, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	add(k, 0, 2, 60);
	assert_int_equal(report(), 2);
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	assert_int_equal(packets_of(7, OWNER_EXACT), 2);
}

/* ---- ties ---- */

static void tie_waits_for_its_flow(void **state)
{
	struct join_stats s;

	(void)state;
	tie(1, 5, asked());
	add(asked(), 0, 3, 10);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 3);
	assert_int_equal(records[0].view.cookie, 1);
	/* Known by ties alone, it lives as long as the flow. */
	add(served(), 0, 1, 20);
	add(served(), 0, 1, 30);
	report();
	join__tick(j, 40);
	join__stats(j, &s);
	assert_int_equal(s.sockets, 1);
	join__tick(j, 100);
	add(served(), 0, 1, 110);
	add(served(), 0, 1, 120);
	add(served(), 0, 1, 130);
	report();
	join__tick(j, 140);
	join__stats(j, &s);
	assert_int_equal(s.flows, 1);
	assert_int_equal(s.sockets, 0);
	/* The last word counts; any link in its namespace will do, and no other. */
	tie(2, 5, asked());
	tie(3, 6, asked());
	add(on_link(asked(), 1), 0, 1, 141);
	add(on_link(asked(), 2), 0, 1, 141);
	assert_int_equal(pid_of(on_link(asked(), 1)), 6);
	assert_int_equal(pid_of(on_link(asked(), 2)), 0);
	tie(4, 7, asked());
	assert_int_equal(pid_of(on_link(asked(), 1)), 7);
	assert_int_equal(pid_of(on_link(asked(), 2)), 0);
	/* It does not wait for ever. */
	tie(1, 5, asked());
	add(served(), 0, 1, 150);
	add(served(), 0, 1, 160);
	assert_int_equal(pid_of(asked()), 0);
}

static void tie_at(uint64_t cookie, uint32_t pid, struct flow_key k, uint64_t time)
{
	struct owner_event e = { .kind = OWNER_TIE,
				 .cookie = cookie,
				 .netns = HOST,
				 .key = k,
				 .how = OWNER_EXACT,
				 .who = process(pid),
				 .time = time };

	assert_int_equal(join__owner(j, &e), 0);
}

static void tie_is_kept_for_a_late_flow(void **state)
{
	struct flow_key third = key(UDP, "10.0.0.1", 40001, "10.0.0.9", 53);
	uint64_t now;

	(void)state;
	join__close(j);
	open_with((struct join_opts){ .live = true, .keep_ties = 50 });
	tie_at(1, 5, asked(), 10);
	tie_at(2, 6, third, 12);
	for (now = 20; now <= 50; now += 5)
		add(served(), 0, 1, now);
	tie_at(1, 5, asked(), 50); /* again: what waits behind it waits no longer for that */
	for (now = 55; now <= 70; now += 5)
		add(served(), 0, 1, now);
	assert_int_equal(pid_of(asked()), 5);
	assert_int_equal(pid_of(third), 0);
	for (now = 75; now <= 100; now += 5)
		add(served(), 0, 1, now);
	assert_int_equal(pid_of(asked()), 5);
	add(served(), 0, 1, 105);
	assert_int_equal(pid_of(asked()), 0);
}

static void tie_to_a_stranger(void **state)
{
	struct flow_key any = key(UDP, "0.0.0.0", 40000, "::", 0);

	(void)state;
	/* UDP: what is bound here was not the sender, so it is nobody's until the sender is known. */
	socket_is(1, 5, OWNER_EXACT, any);
	tie(2, 0, asked());
	add(asked(), 0, 1, 10);
	assert_int_equal(pid_of(asked()), 0);
	socket_is(2, 6, OWNER_EXACT, any);
	report();
	assert_int_equal(packets_of(6, OWNER_EXACT), 1);
	/* TCP: a reset that the kernel's own socket sends changes nothing. */
	socket_is(3, 7, OWNER_EXACT, served());
	add(served(), 0, 1, 20);
	tie(4, 0, served());
	add(served(), 0, 1, 30);
	gone(3);
	tie(4, 0, served());
	add(served(), 0, 1, 40);
	report();
	assert_int_equal(packets_of(7, OWNER_EXACT), 3);
	assert_int_equal(records[0].view.cookie, 3);
	idle(50);
	tie(4, 0, served());
	add(served(), 0, 1, 60);
	report();
	assert_int_equal(packets_of(7, OWNER_EXACT), 1);
	assert_int_equal(records[0].view.cookie, 3);
}

/* Behind address translation the wire's tuple is not the socket's. */
static void tie_crosses_translation(void **state)
{
	struct flow_key inside = key(TCP, "172.17.0.2", 33000, "1.1.1.1", 443);
	struct flow_key wire = key(TCP, "10.0.0.1", 61000, "1.1.1.1", 443);

	(void)state;
	socket_is(1, 5, OWNER_EXACT, inside);
	tie(1, 0, wire);
	add(wire, 0, 1, 10);
	assert_int_equal(pid_of(wire), 5);
	socket_is(1, 6, OWNER_EXACT, inside);
	add(wire, 1, 2, 20);
	assert_int_equal(report(), 2);
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	assert_int_equal(packets_of(6, OWNER_EXACT), 2);
}

/* ---- the end of a socket ---- */

static void keeps_the_owner_of_the_gone(void **state)
{
	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	add(served(), 0, 1, 10);
	add(asked(), 0, 1, 10);
	gone(1);
	gone(2);
	add(served(), 0, 2, 20);
	add(asked(), 0, 2, 20);
	report();
	join__tick(j, 20);
	add(served(), 0, 4, 50);
	add(asked(), 0, 4, 50);
	report();
	join__tick(j, 50);
	add(served(), 0, 8, 60);
	add(asked(), 0, 8, 60);
	report();
	assert_int_equal(packets_of(5, OWNER_EXACT), 8);
	assert_int_equal(packets_of(6, OWNER_EXACT), 8);
	assert_int_equal(reported_packets, 30);
}

static void another_takes_over(void **state)
{
	struct flow_key any = key(UDP, "0.0.0.0", 40000, "::", 0);
	bool ticks;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		ticks = i;
		socket_is(1 + 4 * i, 5, OWNER_EXACT, served());
		socket_is(2 + 4 * i, 6, OWNER_EXACT, any);
		add(served(), 0, 1, 10 + 100 * i);
		add(asked(), 0, 1, 10 + 100 * i);
		gone(1 + 4 * i);
		gone(2 + 4 * i);
		report();
		if (ticks)
			join__tick(j, 10 + 100 * i);
		add(served(), 0, 2, 20 + 100 * i);
		add(served(), 0, 2, 30 + 100 * i);
		if (ticks)
			join__tick(j, 30 + 100 * i);
		socket_is(3 + 4 * i, 7, OWNER_EXACT, served());
		socket_is(4 + 4 * i, 8, OWNER_EXACT, any);
		add(served(), 0, 8, 40 + 100 * i);
		add(asked(), 0, 8, 40 + 100 * i);
		report();
		assert_int_equal(packets_of(5, OWNER_EXACT), 4);
		assert_int_equal(packets_of(7, OWNER_EXACT), 8);
		assert_int_equal(packets_of(8, OWNER_EXACT), 8);
		gone(3 + 4 * i);
		gone(4 + 4 * i);
	}
}

/* Opened, used and closed between two harvests. */
static void short_life(void **state)
{
	struct flow_key late = key(UDP, "10.0.0.1", 40000, "10.0.0.7", 53);
	struct flow_key heard = key(UDP, "10.0.0.1", 40001, "10.0.0.7", 53);

	(void)state;
	add(key(UDP, "10.0.0.1", 1, "10.0.0.7", 1), 0, 1, 5);
	socket_is(1, 5, OWNER_EXACT, served());
	gone(1);
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	gone(2);
	add(served(), 0, 1, 10);
	add(asked(), 0, 1, 10);
	assert_int_equal(pid_of(served()), 5);
	assert_int_equal(pid_of(asked()), 6);
	socket_is(8, 8, OWNER_EXACT, key(UDP, "0.0.0.0", 40002, "::", 0));
	socket_is(9, 9, OWNER_EXACT, key(UDP, "0.0.0.0", 40002, "::", 0));
	tie(9, 0, key(UDP, "10.0.0.1", 40002, "10.0.0.7", 53));
	gone(8);
	gone(9);
	add(key(UDP, "10.0.0.1", 40002, "10.0.0.7", 53), 0, 1, 15);
	assert_int_equal(pid_of(key(UDP, "10.0.0.1", 40002, "10.0.0.7", 53)), 9);
	/* But what comes to a port that nobody holds any more is nobody's. */
	add(asked(), 0, 1, 20);
	add(late, 1, 1, 20);
	assert_int_equal(pid_of(asked()), 6);
	assert_int_equal(pid_of(late), 0);
	/* The same, when the harvest came before the news; and then much is harvested before the report. */
	add(heard, 1, 1, 30);
	socket_is(3, 7, OWNER_EXACT, key(UDP, "0.0.0.0", 40001, "::", 0));
	gone(3);
	add(served(), 0, 1, 40);
	add(served(), 0, 1, 50);
	join__tick(j, 50);
	report();
	assert_int_equal(packets_of(7, OWNER_EXACT), 1);
}

/* What was counted before a socket was there is not its own. */
static void not_before_its_birth(void **state)
{
	struct flow_key k = asked();

	(void)state;
	add(asked(), 1, 1, 10);
	add(served(), 0, 1, 20);
	add(served(), 0, 1, 30);
	socket_is(1, 5, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	assert_int_equal(pid_of(asked()), 0);
	add(asked(), 1, 2, 40);
	assert_int_equal(pid_of(asked()), 5);
	/* Nor before it came here; but who was found at the start may have been there for long. */
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40001, "::", 0));
	k.sport = htons(40002);
	add(k, 1, 1, 50);
	add(served(), 0, 1, 60);
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 40002, "::", 0));
	assert_int_equal(pid_of(k), 0);
	socket_is(3, 7, OWNER_SNAPSHOT, key(UDP, "10.0.0.1", 40002, "::", 0));
	assert_int_equal(pid_of(k), 7);
}

static void reopens(void **state)
{
	struct flow_key next = key(TCP, "10.0.0.1", 33001, "1.1.1.1", 443);
	int i;

	(void)state;
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 10);
	gone(1);
	socket_is(1, 5, OWNER_EXACT, served()); /* a straggler: it stays closed */
	socket_is(1, 6, OWNER_EXACT, next);
	for (i = 0; i < 5; i++) {
		add(next, 0, 1, 20 + i);
		join__tick(j, 20 + i);
	}
	assert_int_equal(pid_of(next), 6);
	assert_int_equal(pid_of(served()), 5);

	socket_is(2, 7, OWNER_EXACT, key(UDP, "0.0.0.0", 50000, "::", 0));
	gone(2);
	socket_is(2, 7, OWNER_EXACT, key(UDP, "0.0.0.0", 40000, "::", 0));
	idle(30);
	add(asked(), 0, 1, 40);
	assert_int_equal(pid_of(asked()), 7);
}

static void snapshot_finds_the_lost(void **state)
{
	struct flow_key any = key(UDP, "0.0.0.0", 40000, "::", 0);

	(void)state;
	socket_is(1, 5, OWNER_BOUND, any);
	add(asked(), 0, 1, 10);
	socket_is(2, 6, OWNER_BOUND, any); /* and the end of 1 was lost */
	add(asked(), 0, 1, 20);
	assert_int_equal(pid_of(asked()), 0);
	join__snapshot_begins(j);
	socket_is(2, 6, OWNER_BOUND, any);
	join__snapshot_ends(j);
	add(asked(), 0, 1, 30);
	add(asked(), 0, 1, 40);
	join__tick(j, 40);
	assert_int_equal(pid_of(asked()), 6);
}

/* ---- memory ---- */

static struct flow_key numbered(uint32_t i)
{
	struct flow_key k = asked();

	memcpy(k.daddr + 12, &i, 4);
	k.sport = htons(1 + i % 60000);
	return k;
}

static void churn(uint32_t from, uint32_t flows, uint64_t now)
{
	uint32_t i;

	for (i = from; i < from + flows; i++) {
		struct flow_key k = numbered(i);

		socket_is(i + 1, 1000 + i, OWNER_EXACT, k);
		add(k, 0, 1, now);
		gone(i + 1);
	}
	report();
	join__tick(j, now);
}

static void forgets(void **state)
{
	struct join_stats s, first = { 0 };
	uint32_t round;

	(void)state;
	for (round = 0; round < 50; round++) {
		churn(round * 1000, 1000, 100 + round * 40);
		join__stats(j, &s);
		assert_true(s.flows <= 2000);
		assert_true(s.sockets <= 3000);
		assert_true(s.owners <= 3000);
		if (round == 10)
			first = s;
		if (round > 10)
			assert_true(s.bytes <= first.bytes + first.bytes / 4);
	}
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 5000);
	socket_is(1, 6, OWNER_EXACT, served());
	gone(1);
	for (round = 0; round < 4; round++) {
		report();
		join__tick(j, 10000 + round);
	}
	join__stats(j, &s);
	assert_int_equal(s.flows, 0);
	assert_int_equal(s.sockets, 0);
	assert_int_equal(s.owners, 0);
	assert_int_equal(reported_packets, 50001);
}

/* What has not been reported is not forgotten. */
static void keeps_what_is_not_reported(void **state)
{
	(void)state;
	add(served(), 0, 7, 10);
	join__tick(j, 100000);
	report();
	assert_int_equal(reported_packets, 7);
}

static void small_flows(void **state)
{
	struct count n = { 1, 60 };
	struct join_stats before, after;
	struct flow_key k;
	uint32_t i, handle;

	(void)state;
	join__stats(j, &before);
	for (i = 0; i < 300000; i++) {
		k = numbered(i);
		handle = NONE;
		assert_int_equal(join__add(j, &k, 0, &n, 0, 10, &handle), 0);
	}
	join__stats(j, &after);
	assert_int_equal(after.flows, 300000);
	assert_true((after.bytes - before.bytes) / 300000 <= 160);
	/* And all of it is returned. */
	report();
	join__tick(j, 1000);
	join__stats(j, &after);
	assert_int_equal(reported_packets, 300000);
	assert_true(after.bytes <= before.bytes + (1 << 20));
	/* The lowest places are taken first, so that the higher ones stay empty. */
	handle = NONE;
	k = served();
	assert_int_equal(join__add(j, &k, 0, &n, 0, 2000, &handle), 0);
	assert_true(handle < 4096);
}

static void has_a_limit(void **state)
{
	struct flow_key a = served(), b = asked();
	struct count n = { 1, 60 };
	uint32_t handle = NONE;

	(void)state;
	join__close(j);
	open_with((struct join_opts){ .live = true, .flows_max = 1 });
	assert_int_equal(join__add(j, &a, 0, &n, 0, 10, &handle), 0);
	handle = NONE;
	assert_int_equal(join__add(j, &b, 0, &n, 0, 10, &handle), -ENOMEM);
	assert_int_equal(handle, NONE);
	assert_int_equal(join__add(j, &a, 1, &n, 0, 10, &handle), 0);
	report();
	assert_int_equal(reported_packets, 2);
}

/* In a process of its own that has little memory left. */
static void run_out_of_memory(void)
{
	struct count n = { 1, 60 };
	uint64_t added = 0;
	uint32_t i, handle, failures = 0;
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = 40u << 20;
	if (setrlimit(RLIMIT_AS, &limit))
		_exit(2);
	for (i = 0; i < 2000000 && failures < 1000; i++) {
		struct owner_event e = { .kind = i % 2 ? OWNER_TIE : OWNER_SOCKET,
					 .cookie = i + 1,
					 .netns = HOST,
					 .key = numbered(i),
					 .how = OWNER_EXACT,
					 .who = process(i + 1) };
		struct flow_key k = numbered(i);

		handle = NONE;
		failures += join__owner(j, &e) == -ENOMEM;
		if (join__add(j, &k, 0, &n, 0, 10 + i / 1000, &handle))
			failures++;
		else
			added++;
	}
	report();
	join__tick(j, 1 << 30);
	join__close(j);
	_exit(failures < 1000 || reported_packets != added);
}

static void survives_without_memory(void **state)
{
	const char *preloaded = getenv("LD_PRELOAD");
	int status = 0;
	pid_t pid;

	(void)state;
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	if (preloaded && strstr(preloaded, "vgpreload"))
		skip();
	pid = fork();
	if (!pid)
		run_out_of_memory();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* More changes of owner than fit: nothing is lost, and what cannot be told apart is nobody's. */
static void too_many_changes(void **state)
{
	struct join_stats s;
	uint64_t i, nobodys;

	(void)state;
	for (i = 0; i < 66000; i++) {
		socket_is(1, 5 + i % 2, OWNER_EXACT, served());
		add(served(), 0, 1, 10 + i);
	}
	join__stats(j, &s);
	assert_int_not_equal(s.unsplit, 0);
	n_records = RECORDS_MAX - 1; /* the flow itself is reported first */
	join__report(j, 0, on_view, NULL);
	assert_int_equal(reported_packets, 66000);
	assert_null(records[RECORDS_MAX - 1].view.who);
	nobodys = records[RECORDS_MAX - 1].view.sent.packets;
	assert_int_equal(nobodys, 66000 - 65536);
	add(served(), 0, 1, 100000);
	report();
	assert_int_equal(packets_of(6, OWNER_EXACT), 1);
}

/* ---- around it ---- */

static void ask_for_peer(void *to, const struct flow_view *v)
{
	struct flow_key back = flow_key__reversed(v->key);
	const struct who *who = join__who(j, &back, NULL);

	*(uint32_t *)to += who ? who->pid : 0;
	on_view(NULL, v);
}

/* Both ends here: each is asked for while records are made, and one of them changes by that. */
static void knows_the_peer(void **state)
{
	struct flow_key back = asked();
	uint32_t sum = 0;

	(void)state;
	back = flow_key__reversed(&back);
	socket_is(1, 5, OWNER_EXACT, asked());
	socket_is(2, 6, OWNER_EXACT, key(UDP, "0.0.0.0", 53, "::", 0));
	add(asked(), 0, 1, 10);
	add(back, 0, 2, 10);
	socket_is(2, 7, OWNER_EXACT, key(UDP, "0.0.0.0", 53, "::", 0));
	n_records = 0;
	join__report(j, 0, ask_for_peer, &sum);
	assert_int_equal(n_records, 2);
	assert_int_equal(packets_of(5, OWNER_EXACT), 1);
	assert_int_equal(packets_of(6, OWNER_EXACT), 2);
	assert_int_equal(sum, 5 + 7);
}

static void offline_has_no_owners(void **state)
{
	struct join_stats s;

	(void)state;
	join__close(j);
	open_with((struct join_opts){ .live = false });
	socket_is(1, 5, OWNER_EXACT, served());
	add(served(), 0, 1, 10);
	join__tick(j, 1ull << 60);
	report();
	assert_int_equal(packets_of(0, OWNER_NONE), 1);
	assert_int_equal(pid_of(served()), 0);
	join__stats(j, &s);
	assert_int_equal(s.sockets, 0);
}

/* Whatever the order of events: what goes in comes out. */
static void adds_up_under_noise(void **state)
{
	uint64_t added = 0, now = 10;
	unsigned seed = 1, i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		struct flow_key k = key(rand_r(&seed) % 2 ? TCP : UDP, "10.0.0.1",
					1 + rand_r(&seed) % 3, "10.0.0.9", rand_r(&seed) % 3);
		uint64_t cookie = 1 + rand_r(&seed) % 6;
		unsigned what = rand_r(&seed) % 16, n = rand_r(&seed) % 4;

		if (what < 8) {
			k.dport |= htons(1);
			add(k, rand_r(&seed) % 2, n, now);
			added += n;
		} else if (what < 11) {
			socket_listens(cookie, 1 + n, 1 + rand_r(&seed) % 4, k, rand_r(&seed) % 2);
		} else if (what == 11) {
			k.dport |= htons(1);
			tie(cookie, n, k);
		} else if (what == 12) {
			gone(cookie);
		} else if (what == 13) {
			now += 1 + n * 20;
		} else if (what == 14) {
			report();
		} else {
			join__tick(j, now);
		}
	}
	report();
	assert_int_equal(reported_packets, added);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts),
		TEST(tells_flows_apart),
		TEST(knows_stale_handles),
		TEST(turns_keys),
		TEST(knows_the_opener),
		TEST(owner_comes_first),
		TEST(kernel_owns),
		TEST(owner_comes_later),
		TEST(owner_changes),
		TEST(former_owner_has_a_record),
		TEST(changes_hands),
		TEST(is_blurred),
		TEST(is_blurred_at_once),
		TEST(is_blurred_meanwhile),
		TEST(is_blurred_by_two),
		TEST(is_blurred_unknown),
		TEST(identity),
		TEST(takes_a_new_name),
		cmocka_unit_test(looks_up),
		TEST(group_of_one_process),
		TEST(port_0_is_not_unknown),
		TEST(keeps_protocols_apart),
		TEST(keeps_namespaces_apart),
		TEST(mapped_on_the_wire_is_nobodys),
		TEST(listener_has_only_what_came),
		TEST(accepter_has_it_all),
		TEST(socket_moves),
		TEST(group_is_nobodys),
		TEST(tie_decides),
		TEST(tie_waits_for_its_flow),
		TEST(tie_is_kept_for_a_late_flow),
		TEST(tie_to_a_stranger),
		TEST(tie_crosses_translation),
		TEST(keeps_the_owner_of_the_gone),
		TEST(another_takes_over),
		TEST(short_life),
		TEST(not_before_its_birth),
		TEST(reopens),
		TEST(snapshot_finds_the_lost),
		TEST(closed_before_a_late_report),
		TEST(forgets),
		TEST(keeps_what_is_not_reported),
		TEST(small_flows),
		TEST(has_a_limit),
		TEST(survives_without_memory),
		TEST(too_many_changes),
		TEST(knows_the_peer),
		TEST(offline_has_no_owners),
		TEST(adds_up_under_noise),
	};

	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
