// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Community ID: the published vectors of TCP and UDP, in both directions, and the cases they leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <string.h>
#include <cmocka.h>
#include "tools/outputs/community_id.h"

static const struct {
	uint8_t proto;
	const char *source;
	uint16_t sport;
	const char *destination;
	uint16_t dport;
	const char *id;
} vectors[] = {
	/* github.com/corelight/community-id-spec, baseline/baseline_deflt.json */
	{ 6, "128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=" },
	{ 17, "192.168.1.52", 54585, "8.8.8.8", 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=" },
	{ 6, "2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "2607:f8b0:400c:c03::1a", 25,
	  "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=" },
	/* github.com/corelight/pycommunityid, tests; and Zeek's */
	{ 6, "10.0.0.1", 10, "10.0.0.2", 11569, "1:SXBGMX1lBOwhhoDrZynfROxnhnM=" },
	{ 6, "10.0.0.1", 10, "10.0.0.2", 20, "1:9j2Dzwrw7T9E+IZi4b4IVT66HBI=" },
	{ 6, "1.2.3.4", 1122, "5.6.7.8", 3344, "1:wCb3OG7yAFWelaUydu0D+125CLM=" },
	{ 17, "1.2.3.4", 1122, "5.6.7.8", 3344, "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg=" },
	/* By the formula (Python's hashlib): ports decide, and as numbers; unsigned addresses; IPv6 that looks like IPv4. */
	{ 6, "127.0.0.1", 80, "127.0.0.1", 40000, "1:5rFr+y3i0wpQbEhThSaj08U8BaE=" },
	{ 17, "10.0.0.1", 256, "10.0.0.1", 1, "1:sLMWZhGJfCZwlaKnZ7zwJPeHVDA=" },
	{ 17, "10.0.0.1", 5, "10.0.0.1", 5, "1:L+Y0VRZZhng+J+m9MwFjgV+4y+s=" },
	{ 6, "200.0.0.1", 1, "100.0.0.1", 2, "1:29yDXpr0sp3wp+kNFqI08LbG8F4=" },
	{ 6, "::ffff:1.2.3.4", 1122, "::ffff:5.6.7.8", 3344, "1:kjswHTeq4x3jM5Ivt9H7/BGXhOY=" },
};

static void set_end(struct flow_key *key, __u8 addr[16], __be16 *port, const char *text,
		    uint16_t number)
{
	if (strchr(text, ':')) {
		key->family = 6;
		assert_int_equal(inet_pton(AF_INET6, text, addr), 1);
	} else {
		key->family = 4;
		memcpy(addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
		assert_int_equal(inet_pton(AF_INET, text, addr + 12), 1);
	}
	*port = htons(number);
}

static void knows_the_vectors(void **state)
{
	char id[COMMUNITY_ID_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		struct flow_key there = { .proto = vectors[i].proto, .link = 7 }, back = there;

		set_end(&there, there.saddr, &there.sport, vectors[i].source, vectors[i].sport);
		set_end(&there, there.daddr, &there.dport, vectors[i].destination,
			vectors[i].dport);
		assert_string_equal(community_id(id, &there), vectors[i].id);
		set_end(&back, back.daddr, &back.dport, vectors[i].source, vectors[i].sport);
		set_end(&back, back.saddr, &back.sport, vectors[i].destination, vectors[i].dport);
		assert_string_equal(community_id(id, &back), vectors[i].id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(knows_the_vectors) };

	return cmocka_run_group_tests_name("community_id", tests, NULL, NULL);
}
