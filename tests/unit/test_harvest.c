// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// timeout: 240
/*
 * The count table, both sides: the meter's own program is run frame by frame (BPF_PROG_TEST_RUN) against small tables,
 * and harvested in between. Each flow has frames of its own size, so that what lands in another flow shows. What was
 * sent and what was found must agree flow by flow; what is missing must be what the program called lost.
 *
 * Most tests let each packet be counted at once, so that they know what stands where; some are run once more as the
 * program is in fact loaded, with packets that wait.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "xdp/harvest.h"
#include "xdp/match.h"
#include "xdp/probe.h"
#include "xdp/say.h"
#include "xdp/meter.skel.h" /* after the types it speaks of */
#include <cmocka.h>         /* last: it has a macro called fail */

#define FLOWS 4096 /* numbered; IPv4 and IPv6 flows with the same number are different ones */

/* Of one flow. */
struct sums {
	struct count sent, found;
	uint32_t handle; /* as the slot keeps it */
	uint32_t times;  /* handed on, in the latest harvest */
	uint8_t marks;
};

static struct table {
	struct harvest *harvest;
	struct meter_bpf *skel;
	struct sums flow[2][FLOWS]; /* IPv4, IPv6 */
	struct count sent;
	uint64_t strangers; /* packets of flows that nobody sent */
	bool keep;          /* on_found() leaves its mark in the handle */
} t;

static int cpu;
static bool later; /* packets wait for their slots */

/* ---- the table, and what goes in ---- */

static int hush(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

static void pin(int to)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(to, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void open_table(uint32_t slots, uint32_t overflow, bool hash)
{
	struct harvest_size size = {
		.slots = slots, .overflow = overflow, .hash = hash, .later = later ? 1 : UINT32_MAX
	};

	memset(&t, 0, sizeof(t));
	assert_int_equal(harvest__open(&t.harvest, &size, "test"), 0);
	t.skel = meter_bpf__open();
	assert_non_null(t.skel);
	t.skel->rodata->look_inside = !probe__kernel_context();
	assert_int_equal(harvest__lend(t.harvest, t.skel->obj), 0);
	assert_int_equal(meter_bpf__load(t.skel), 0);
}

static int close_table(void **state)
{
	(void)state;
	meter_bpf__destroy(t.skel);
	harvest__close(t.harvest);
	t.skel = NULL;
	t.harvest = NULL;
	later = false;
	return 0;
}

static int be_later(void **state)
{
	(void)state;
	later = true;
	return 0;
}

static unsigned length_of(int ip6, unsigned number)
{
	return 80 + number % 1000 + 7 * ip6;
}

/* TCP or UDP by turns; the number is in the address, and once more in the port. */
static void fill_frame(unsigned char *frame, int ip6, unsigned number, uint8_t flags)
{
	unsigned char *ip = frame + 14, *l4 = ip + (ip6 ? 40 : 20);
	uint32_t address = htonl(0x0a000000 + number);
	uint16_t port = htons(number);

	memset(frame, 0, length_of(ip6, number));
	frame[12] = ip6 ? 0x86 : 0x08;
	frame[13] = ip6 ? 0xdd : 0x00;
	ip[0] = ip6 ? 0x60 : 0x45;
	ip[ip6 ? 6 : 9] = number & 1 ? 17 : 6;
	memcpy(ip + (ip6 ? 20 : 12), &address, 4);
	memcpy(l4, &port, 2);
	l4[3] = 80;
	l4[12] = 0x50;
	l4[13] = flags;
}

/* 0 or -errno. Once a call: more often would make each call wait for a grace period. */
static int run_program(const unsigned char *frame, unsigned length)
{
	unsigned char out[2048];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = length,
		    .data_out = out, .data_size_out = sizeof(out));

	if (bpf_prog_test_run_opts(bpf_program__fd(t.skel->progs.wirewho_meter), &opts))
		return -errno;
	return opts.retval == XDP_PASS ? 0 : -EPROTO;
}

static void add(struct count *to, uint64_t packets, uint64_t bytes)
{
	to->packets += packets;
	to->bytes += bytes;
}

static int send_frames(int ip6, unsigned number, unsigned times, uint8_t flags)
{
	unsigned length = length_of(ip6, number);
	unsigned char frame[2048];
	int err = 0;

	fill_frame(frame, ip6, number, flags);
	while (times-- && !err) {
		err = run_program(frame, length);
		add(&t.flow[ip6][number].sent, 1, length);
		add(&t.sent, 1, length);
	}
	return err;
}

static void put_marked(int ip6, unsigned number, unsigned times, uint8_t flags)
{
	assert_int_equal(send_frames(ip6, number, times, flags), 0);
}

static void put(int ip6, unsigned number, unsigned times)
{
	put_marked(ip6, number, times, 0x10);
}

/* ---- what comes out ---- */

static unsigned number_of(const struct flow_key *key)
{
	uint32_t address;

	memcpy(&address, key->saddr + 12, 4);
	return ntohl(address) - 0x0a000000;
}

/* Is the key, all of it, that of the flow with this number? */
static bool is_key_of(const struct flow_key *key, unsigned number)
{
	uint32_t address = htonl(0x0a000000 + number);
	struct flow_key want = { .sport = htons(number),
				 .dport = htons(80),
				 .proto = number & 1 ? 17 : 6,
				 .family = key->family };

	if (key->family == 4)
		want.saddr[10] = want.saddr[11] = want.daddr[10] = want.daddr[11] = 0xff;
	memcpy(want.saddr + 12, &address, 4);
	return number < FLOWS && !memcmp(key, &want, sizeof(want));
}

static void on_found(void *to, const struct harvested *h)
{
	unsigned number = number_of(h->key);
	struct sums *s;

	(void)to;
	assert_true(h->count.packets > 0);
	if (!is_key_of(h->key, number)) {
		t.strangers += h->count.packets;
		return;
	}
	s = &t.flow[h->key->family == 6][number];
	add(&s->found, h->count.packets, h->count.bytes);
	s->handle = *h->handle;
	s->marks = h->marks;
	s->times++;
	if (t.keep)
		*h->handle = number;
}

static void harvest(void)
{
	int ip6, i;

	for (ip6 = 0; ip6 < 2; ip6++)
		for (i = 0; i < FLOWS; i++)
			t.flow[ip6][i].times = 0;
	assert_int_equal(harvest__run(t.harvest, on_found, NULL), 0);
}

static struct tally tally(void)
{
	struct tally sum;

	harvest__tally(t.harvest, 0, -1, &sum);
	return sum;
}

static struct count named(const struct tally *sum)
{
	struct count n = { 0 };
	int i;

	for (i = 0; i < REASON_N; i++)
		add(&n, sum->reason[i].packets, sum->reason[i].bytes);
	return n;
}

static void assert_count(const char *what, struct count got, struct count want)
{
	if (got.packets != want.packets || got.bytes != want.bytes)
		fail_msg("%s: %llu packets, %llu bytes; should be %llu, %llu", what,
			 (unsigned long long)got.packets, (unsigned long long)got.bytes,
			 (unsigned long long)want.packets, (unsigned long long)want.bytes);
}

/* Flow by flow, what was sent and not found: never less than nothing. */
static struct count missing(void)
{
	struct count sum = { 0 };
	int ip6, i;

	for (ip6 = 0; ip6 < 2; ip6++) {
		for (i = 0; i < FLOWS; i++) {
			const struct sums *s = &t.flow[ip6][i];

			if (s->found.packets > s->sent.packets ||
			    s->found.bytes != s->found.packets * length_of(ip6, (unsigned)i))
				fail_msg("IPv%d flow %d: found %llu packets, %llu bytes, sent %llu",
					 ip6 ? 6 : 4, i, (unsigned long long)s->found.packets,
					 (unsigned long long)s->found.bytes,
					 (unsigned long long)s->sent.packets);
			add(&sum, s->sent.packets - s->found.packets,
			    s->sent.bytes - s->found.bytes);
		}
	}
	return sum;
}

/* After a harvest, with nothing on the way. */
static void assert_closed(void)
{
	struct tally sum = tally();

	assert_int_equal(t.strangers, 0);
	assert_count("seen", sum.seen, t.sent);
	assert_count("all that has a name", named(&sum), t.sent);
	assert_count("what is missing", missing(), sum.reason[REASON_LOST]);
}

static void assert_nothing_lost(void)
{
	assert_closed();
	assert_int_equal(tally().reason[REASON_LOST].packets, 0);
}

/* ---- flows that have their slots ---- */

static void test_counts(void **state)
{
	unsigned i, round;

	(void)state;
	open_table(256, 64, false);
	t.keep = true;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 40; i++)
			put(i & 1, i, 1 + (i + round) % 3);
		harvest();
		assert_nothing_lost();
		for (i = 0; i < 40; i++) {
			assert_int_equal(t.flow[i & 1][i].times, 1);
			assert_int_equal(t.flow[i & 1][i].handle, round ? i : HANDLE_NONE);
		}
	}
	assert_int_equal(tally().reason[REASON_OVERFLOWED].packets, 0);
	harvest();
	for (i = 0; i < 40; i++)
		assert_int_equal(t.flow[i & 1][i].times, 0);
	assert_nothing_lost();
}

static void test_marks(void **state)
{
	(void)state;
	open_table(256, 64, false);
	put_marked(0, 2, 1, 0x02);
	put_marked(1, 2, 1, 0x12);
	harvest();
	assert_int_equal(t.flow[0][2].marks, FLOW_SYN);
	assert_int_equal(t.flow[1][2].marks, FLOW_SYNACK);
	put_marked(0, 2, 1, 0x11);
	put_marked(1, 2, 1, 0x04);
	harvest();
	assert_int_equal(t.flow[0][2].marks, FLOW_SYN | FLOW_FIN);
	assert_int_equal(t.flow[1][2].marks, FLOW_SYNACK | FLOW_RST);
	assert_nothing_lost();
}

/* With room to spare a quiet flow keeps its slot for eight harvests, and no longer. */
static void test_quiet(void **state)
{
	int i;

	(void)state;
	open_table(256, 64, false);
	t.keep = true;
	put(0, 7, 1);
	for (i = 0; i < 8; i++)
		harvest();
	put(0, 7, 1);
	harvest();
	assert_int_equal(t.flow[0][7].handle, 7);
	for (i = 0; i < 12; i++)
		harvest();
	put(0, 7, 1);
	harvest();
	assert_int_equal(t.flow[0][7].handle, HANDLE_NONE);
	assert_nothing_lost();
}

/* Under each name its own frames, and "seen" has them all. */
static void test_others(void **state)
{
	unsigned char frame[64] = { [12] = 0x08, 0x06 };
	struct tally sum;

	(void)state;
	open_table(256, 64, false);
	put(0, 1, 3);
	assert_int_equal(run_program(frame, 60), 0);
	frame[13] = 0;
	assert_int_equal(run_program(frame, 20), 0);
	frame[14] = 0x45;
	frame[23] = 1;
	assert_int_equal(run_program(frame, 64), 0);
	harvest();
	sum = tally();
	assert_int_equal(sum.seen.packets, 6);
	assert_int_equal(sum.reason[REASON_ARP].bytes, 60);
	assert_int_equal(sum.reason[REASON_IP4_SHORT].bytes, 20);
	assert_int_equal(sum.reason[REASON_ICMP].bytes, 64);
	assert_count("all that has a name", named(&sum), sum.seen);
	assert_count("found", t.flow[0][1].found, t.sent);
}

/* ---- more flows than slots ---- */

/*
 * Waves of other flows, each harvested: every slot is given away often enough for its claim's number (8 bits) to come
 * round. The stride brings each flow back to slots that others had.
 */
static void waves(int ip6, unsigned rounds, unsigned wave)
{
	unsigned i, round, number = 0;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < wave; i++) {
			number = (number + 1021) % FLOWS;
			put(ip6, number, 1);
			if (!(i % 5))
				put(ip6, number, 1);
		}
		harvest();
		assert_closed();
	}
}

static void test_reuse4(void **state)
{
	(void)state;
	open_table(256, 256, false);
	waves(0, 300, 240);
	assert_nothing_lost();
	assert_true(tally().reason[REASON_FLOW].packets > 256 * 256);
}

static void test_reuse6(void **state)
{
	(void)state;
	open_table(256, 256, false);     /* 128 for IPv6 */
	waves(1, later ? 30 : 300, 120); /* a claim's number has come round before */
	assert_nothing_lost();
	assert_true(tally().reason[REASON_FLOW].packets > (later ? 20 : 256) * 128);
}

/* A flow that stays is found again beside others that come and go, and is counted once. */
static void test_stays(void **state)
{
	unsigned round, i;

	(void)state;
	open_table(256, 1024, false);
	t.keep = true;
	for (round = 0; round < 200; round++) {
		for (i = 0; i < 20; i++)
			put(0, i, 1);
		for (i = 0; i < 200; i++)
			put(0, 20 + (round * 200 + i) % (FLOWS - 20), 1);
		harvest();
		assert_nothing_lost();
		for (i = 0; i < 20; i++)
			assert_int_equal(t.flow[0][i].found.packets, round + 1);
	}
}

/* What is not yet harvested cannot be given away, however long it takes: the rest goes through the ring. */
static void test_overflow(void **state)
{
	struct tally sum;
	unsigned i;

	(void)state;
	open_table(256, 4096, false);
	for (i = 0; i < 2000; i++)
		put(i & 1, i, 1);
	for (i = 0; i < 2000; i += 3)
		put(i & 1, i, 1);
	assert_true(harvest__urgent(t.harvest));
	harvest();
	assert_nothing_lost();
	assert_false(harvest__urgent(t.harvest));
	sum = tally();
	assert_true(sum.reason[REASON_FLOW].packets >= 256 + 128);
	assert_true(sum.reason[REASON_OVERFLOWED].packets >= 2000 - 256 - 128);
}

/* The ring wraps many times, and never gives a record twice. */
static void test_ring(void **state)
{
	unsigned i, round;

	(void)state;
	open_table(256, 64, false);
	for (round = 0; round < 100; round++) {
		for (i = 0; i < 256 + 40; i++)
			put(0, (round * 296 + i) % FLOWS, 1);
		harvest();
		assert_closed();
	}
}

/* Both full: what is lost has a name, and nothing else is missing. */
static void test_lost(void **state)
{
	struct tally sum;
	unsigned i;

	(void)state;
	open_table(256, 64, false);
	for (i = 0; i < 3000; i++)
		put(i & 1, i, 1 + i % 2);
	harvest();
	assert_closed();
	sum = tally();
	assert_int_equal(sum.reason[REASON_OVERFLOWED].packets, 64);
	assert_true(sum.reason[REASON_LOST].packets > 2000);
	for (i = 0; i < 60; i++)
		put(0, i, 1);
	harvest();
	assert_closed();
	assert_int_equal(tally().reason[REASON_LOST].packets, sum.reason[REASON_LOST].packets);
}

/* ---- the kernel's hash instead ---- */

static void test_hash(void **state)
{
	unsigned i, round;

	(void)state;
	open_table(256, 4096, true);
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 100; i++)
			put(i & 1, (round * 50 + i) % FLOWS, 1 + i % 3);
		harvest();
		assert_nothing_lost();
	}
	assert_int_equal(tally().reason[REASON_OVERFLOWED].packets, 0);
	for (i = 0; i < 2000; i++)
		put(i & 1, i, 1);
	harvest();
	assert_nothing_lost();
	assert_true(tally().reason[REASON_OVERFLOWED].packets > 0);
}

/* ---- packets that wait ---- */

/* However few or many came before the harvest: it finds all, once, with their marks. */
static void test_pending(void **state)
{
	unsigned round, i, n;

	(void)state;
	open_table(256, 64, false);
	for (round = 0; round < 100; round++) {
		n = round * 7 % (3 * RING);
		for (i = 0; i < n; i++)
			put_marked(round >> 1 & 1, i, 1, i & 1 ? 0x10 : 0x02);
		harvest();
		assert_nothing_lost();
		assert_count("missing", missing(), (struct count){ 0 });
		for (i = 0; i < n; i += 2)
			assert_int_equal(t.flow[round >> 1 & 1][i].marks, FLOW_SYN);
	}
	assert_true(tally().reason[REASON_FLOW].packets > 300);
}

/* Both tables at once, whose packets wait apart. */
static void test_pending_both(void **state)
{
	unsigned round, i;

	(void)state;
	open_table(256, 64, false);
	for (round = 0; round < 60; round++) {
		for (i = 0; i < round % 29; i++)
			put(i % 3 == 0, (round + i) % 60, 1);
		harvest();
		assert_nothing_lost();
	}
}

/* A packet that finds no place when its turn comes is missed on the interface it came from. */
static void test_pending_links(void **state)
{
	struct meter_bpf *skel[2];
	struct tally sum;
	unsigned i;

	(void)state;
	open_table(256, 64, false);
	skel[0] = t.skel;
	skel[1] = meter_bpf__open();
	assert_non_null(skel[1]);
	skel[1]->rodata->link_number = 1;
	assert_int_equal(harvest__lend(t.harvest, skel[1]->obj), 0);
	assert_int_equal(meter_bpf__load(skel[1]), 0);
	for (i = 0; i < 2000; i++) {
		t.skel = skel[i % 3 == 0];
		put(0, i, 1);
	}
	t.skel = skel[0];
	meter_bpf__destroy(skel[1]);
	harvest();
	for (i = 0; i < 2; i++) {
		harvest__tally(t.harvest, (uint16_t)i, -1, &sum);
		assert_int_equal(sum.seen.packets, i ? 667 : 1333);
		assert_count("all that has a name", named(&sum), sum.seen);
		assert_true(sum.reason[REASON_LOST].packets > 100);
	}
}

/* ---- harvests while packets come ---- */

static bool done;
static int send_err;

/* Asserts belong to the other thread. */
static void *send_many(void *to)
{
	unsigned i;

	(void)to;
	pin(cpu);
	for (i = 0; i < 150000 && !send_err; i++)
		send_err = send_frames(i & 1, i * 1021 % FLOWS, 1, 0x10);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void race(bool hash)
{
	pthread_t thread;
	cpu_set_t all;
	int i;

	open_table(256, 256, hash);
	done = false;
	assert_int_equal(pthread_create(&thread, NULL, send_many, NULL), 0);
	CPU_ZERO(&all);
	for (i = 0; i < CPU_SETSIZE; i++)
		CPU_SET(i, &all);
	sched_setaffinity(0, sizeof(all), &all);
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		assert_int_equal(harvest__run(t.harvest, on_found, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(send_err, 0);
	pin(cpu);
	harvest();
	assert_closed();
	assert_true(tally().reason[REASON_FLOW].packets > 256);
}

static void test_race(void **state)
{
	(void)state;
	race(false);
}

static void test_race_hash(void **state)
{
	(void)state;
	race(true);
}

/* ---- */

static int cannot(const char *why)
{
	printf("%s\n", why);
	return 77;
}

#define LATER(test) cmocka_unit_test_setup_teardown(test, be_later, close_table)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_counts, close_table),
		cmocka_unit_test_teardown(test_marks, close_table),
		cmocka_unit_test_teardown(test_quiet, close_table),
		cmocka_unit_test_teardown(test_others, close_table),
		cmocka_unit_test_teardown(test_reuse4, close_table),
		cmocka_unit_test_teardown(test_reuse6, close_table),
		cmocka_unit_test_teardown(test_stays, close_table),
		cmocka_unit_test_teardown(test_overflow, close_table),
		cmocka_unit_test_teardown(test_ring, close_table),
		cmocka_unit_test_teardown(test_lost, close_table),
		cmocka_unit_test_teardown(test_hash, close_table),
		cmocka_unit_test_teardown(test_race, close_table),
		cmocka_unit_test_teardown(test_race_hash, close_table),
		LATER(test_others),
		LATER(test_reuse6),
		LATER(test_overflow),
		LATER(test_lost),
		LATER(test_race),
		LATER(test_pending),
		LATER(test_pending_both),
		LATER(test_pending_links),
	};

	if (geteuid())
		return cannot("needs root: BPF programs are loaded");
	libbpf_set_print(hush);
	if (probe__xdp())
		return cannot("this kernel lets nobody load XDP programs");
	cpu = sched_getcpu();
	pin(cpu);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
