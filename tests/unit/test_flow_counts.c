// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a tap's thread counts: each frame in its flow, under a reason, or without room; however many flows there are. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "af_xdp/flow_counts.h"

#define LINK 3
#define PLAIN 54 /* Ethernet, IPv4, TCP */

/* A SYN of the n-th flow; IPv6 where n is odd. */
static uint32_t make(uint8_t *frame, uint32_t n, struct flow_key *key)
{
	bool six = n & 1;
	uint8_t *ip = frame + 14, *tcp = ip + (six ? 40 : 20);
	const uint16_t ports[2] = { htons(1024 + n % 50000), htons(443) };
	const uint32_t host = htonl(n);

	memset(frame, 0, 128);
	frame[12] = six ? 0x86 : 8;
	frame[13] = six ? 0xdd : 0;
	ip[0] = six ? 0x60 : 0x45;
	ip[six ? 6 : 9] = 6;
	if (six)
		ip[5] = 20;
	else
		ip[3] = 40;
	memcpy(ip + (six ? 20 : 12), &host, sizeof(host));
	memcpy(tcp, ports, sizeof(ports));
	tcp[12] = 5 << 4;
	*key = (struct flow_key){ .sport = ports[0],
				  .dport = ports[1],
				  .proto = 6,
				  .family = six ? 6 : 4,
				  .link = LINK };
	memcpy(key->saddr + 12, &host, sizeof(host));
	if (!six)
		key->saddr[10] = key->saddr[11] = key->daddr[10] = key->daddr[11] = 0xff;
	return PLAIN + (six ? 20 : 0);
}

/* Flow n has 1 + n % 5 frames. */
static void show(struct flow_counts *f, uint32_t flows)
{
	struct flow_key key;
	uint8_t frame[128];
	uint32_t n, i, size;

	for (i = 0; i < 5; i++)
		for (n = 0; n < flows; n++) {
			if (i > n % 5)
				continue;
			size = make(frame, n, &key);
			flow_counts__show(f, frame, size, 100 + n % 7);
		}
	flow_counts__settle(f);
}

static void check(uint32_t flows, uint32_t most)
{
	struct flow_sums sums = {};
	struct flow_key key;
	uint8_t frame[128];
	uint64_t packets = 0;
	struct flow_counts *f;
	uint32_t n;

	assert_int_equal(flow_counts__open(&f, most, LINK, false), 0);
	show(f, flows);
	for (n = 0; n < flows; n++) {
		struct count c;

		make(frame, n, &key);
		c = flow_counts__of(f, &key);
		if (n < most) {
			assert_int_equal(c.packets, 1 + n % 5);
			assert_int_equal(c.bytes, (1 + n % 5) * (100 + n % 7));
		} else {
			assert_int_equal(c.packets, 0);
		}
		packets += 1 + n % 5;
	}
	flow_counts__add_up(f, &sums);
	assert_int_equal(sums.flows, flows < most ? flows : most);
	assert_int_equal(sums.in_flows.packets + sums.no_room.packets, packets);
	assert_true(flows <= most ? !sums.no_room.packets : sums.no_room.packets >= flows - most);
	flow_counts__close(f);
}

static void test_flows(void **state)
{
	(void)state;
	check(1, 1000);
	check(512, 100000);
	check(40000, 100000);
	check(5000, 1000);
}

static void test_reasons(void **state)
{
	const uint8_t arp[60] = { [12] = 8, [13] = 6 };
	struct flow_sums sums = {};
	struct flow_counts *f;

	(void)state;
	assert_int_equal(flow_counts__open(&f, 10, LINK, false), 0);
	flow_counts__show(f, arp, sizeof(arp), sizeof(arp));
	flow_counts__show(f, arp, 5, 5);
	flow_counts__add_up(f, &sums);
	assert_int_equal(sums.flows, 0);
	assert_int_equal(sums.reason[REASON_ARP].packets, 1);
	assert_int_equal(sums.reason[REASON_ARP].bytes, 60);
	assert_int_equal(sums.reason[REASON_ETH_SHORT].packets, 1);
	flow_counts__close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
