// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of `top`: nothing added is missing from the rows, whatever the grouping; and what rows look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <locale.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include "tools/outputs/view.h"

#define SECOND 1000000000ull
#define HAN "\xe6\x97\xa5\xe6\x9c\xac" /* two characters, four columns */

/* One record to add: what differs from the default below. */
struct given {
	uint32_t pid; /* 0: nobody known */
	uint32_t uid;
	uint64_t start;
	const char *comm, *user, *container, *exe;
	const char *from, *to;
	uint16_t sport, dport;
	uint8_t proto; /* 0: TCP */
	uint16_t link;
	struct count sent, received;
	enum opener opener;
	enum owner_how how;
	enum repeated repeated;
};

static struct view *view;

static int open_view(void **state)
{
	(void)state;
	return view__open(&view);
}

static int close_view(void **state)
{
	(void)state;
	view__close(view);
	view = NULL;
	return 0;
}

static void address(const char *text, __u8 *to, __u8 *family)
{
	*family = strchr(text, ':') ? 6 : 4;
	memset(to, 0, 16);
	if (*family == 6) {
		assert_int_equal(inet_pton(AF_INET6, text, to), 1);
		return;
	}
	to[10] = to[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, to + 12), 1);
}

static void add(const struct given *g)
{
	struct who who = { .pid = g->pid, .uid = g->uid, .start = g->start };
	struct process process = { .user = g->user, .container = g->container, .exe = g->exe };
	struct flow_key key = { .sport = htons(g->sport ? g->sport : 40000),
				.dport = htons(g->dport ? g->dport : 443),
				.proto = g->proto ? g->proto : 6,
				.link = g->link };
	struct flow_view flow = { .key = &key,
				  .sent = g->sent,
				  .received = g->received,
				  .opener = g->opener,
				  .repeated = g->repeated,
				  .who = g->pid ? &who : NULL,
				  .how = g->pid ? g->how ? g->how : OWNER_EXACT : OWNER_NONE };
	struct flow_record record = { .flow = &flow, .process = g->pid ? &process : NULL };

	address(g->from ? g->from : "10.0.0.1", key.saddr, &key.family);
	address(g->to ? g->to : "10.0.0.2", key.daddr, &key.family);
	strncpy(who.comm, g->comm ? g->comm : "curl", sizeof(who.comm));
	process.who = who;
	view__add(view, &record);
	/* The view keeps no pointer: what it was given is gone now. */
	memset(&who, 0xaa, sizeof(who));
	memset(&process, 0xaa, sizeof(process));
	memset(&key, 0xaa, sizeof(key));
}

#define ADD(...) add(&(struct given){ __VA_ARGS__ })

static const struct view_row *const *rows;

static size_t take(enum view_by by)
{
	return view__rows(view, by, VIEW_SORT_BYTES, &rows);
}

static void assert_counts(const struct view_row *r, uint64_t rx, uint64_t rx_bytes, uint64_t tx,
			  uint64_t tx_bytes)
{
	assert_int_equal(r->received.packets, rx);
	assert_int_equal(r->received.bytes, rx_bytes);
	assert_int_equal(r->sent.packets, tx);
	assert_int_equal(r->sent.bytes, tx_bytes);
}

/* ---- grouping ---- */

static void groups_by_process(void **state)
{
	(void)state;
	ADD(.pid = 7, .start = 1, .sport = 1, .sent = { 1, 10 }, .received = { 2, 20 },
	    .exe = "/bin/a");
	ADD(.pid = 7, .start = 1, .sport = 2, .sent = { 4, 40 }, .received = { 8, 80 });
	/* The same pid, given to another process later. */
	ADD(.pid = 7, .start = 2, .sport = 1, .comm = "wget", .sent = { 100, 1000 });
	ADD(.sent = { 3, 5 });
	view__end_interval(view, SECOND);

	assert_int_equal(take(VIEW_PROCESS), 3);
	assert_string_equal(rows[0]->comm, "wget");
	assert_counts(rows[0], 0, 0, 100, 1000);
	assert_string_equal(rows[1]->comm, "curl");
	assert_string_equal(rows[1]->exe, "/bin/a");
	assert_int_equal(rows[1]->pid, 7);
	assert_int_equal(rows[1]->flows, 2);
	assert_counts(rows[1], 10, 100, 5, 50);
	assert_string_equal(rows[2]->name, "(not named)");
	assert_counts(rows[2], 0, 0, 3, 5);
	assert_int_equal(rows[2]->how, OWNER_NONE);
}

static void groups_by_flow(void **state)
{
	(void)state;
	ADD(.pid = 7, .sport = 1, .sent = { 1, 10 });
	ADD(.pid = 7, .sport = 1, .sent = { 1, 10 });
	ADD(.pid = 8, .sport = 1, .sent = { 1, 9 }); /* the same flow, another owner */
	ADD(.pid = 7, .sport = 1, .proto = 17, .sent = { 1, 8 });
	ADD(.pid = 7, .sport = 1, .link = 1, .sent = { 1, 7 });
	ADD(.sport = 2, .sent = { 1, 6 });
	view__end_interval(view, SECOND);
	assert_int_equal(take(VIEW_FLOW), 5);
	assert_counts(rows[0], 0, 0, 2, 20);
	assert_int_equal(rows[1]->pid, 8);
	assert_int_equal(rows[2]->key.proto, 17);
	assert_int_equal(rows[3]->key.link, 1);
	assert_null(rows[4]->comm);
	assert_null(rows[4]->name);
	assert_int_equal(ntohs(rows[4]->key.sport), 2);
}

static void groups_by_user(void **state)
{
	(void)state;
	ADD(.pid = 7, .uid = 0, .user = "root", .sent = { 1, 1 });
	ADD(.pid = 8, .uid = 0, .user = "root", .sent = { 1, 1 });
	ADD(.pid = 9, .uid = 4711, .sent = { 1, 20 }); /* a uid without a name */
	ADD(.sent = { 1, 1 });                         /* nobody known is not uid 0 */
	view__end_interval(view, SECOND);
	assert_int_equal(take(VIEW_USER), 3);
	assert_string_equal(rows[0]->user, "4711");
	assert_string_equal(rows[1]->user, "root");
	assert_int_equal(rows[1]->flows, 2);
	assert_string_equal(rows[2]->name, "(not named)");
}

static void groups_by_container(void **state)
{
	(void)state;
	ADD(.pid = 7, .container = "abc", .sent = { 1, 30 });
	ADD(.pid = 8, .container = "abc", .sent = { 1, 30 });
	ADD(.pid = 9, .container = "abd", .sent = { 1, 20 });
	ADD(.pid = 10, .sent = { 1, 10 });
	ADD(.sent = { 1, 5 });
	view__end_interval(view, SECOND);
	assert_int_equal(take(VIEW_CONTAINER), 4);
	assert_string_equal(rows[0]->container, "abc");
	assert_counts(rows[0], 0, 0, 2, 60);
	assert_string_equal(rows[1]->container, "abd");
	assert_string_equal(rows[2]->container, "");
	assert_null(rows[2]->name);
	assert_string_equal(rows[3]->name, "(not named)");
}

static void groups_by_service_port(void **state)
{
	static const struct {
		uint16_t sport, dport;
		enum opener opener;
		uint16_t port;
	} c[] = {
		{ 40000, 443, OPENER_SOURCE, 443 },
		{ 80, 40000, OPENER_DESTINATION, 80 },
		{ 22, 9000, OPENER_SOURCE, 9000 },
		{ 9000, 22, OPENER_DESTINATION, 9000 },
		{ 40000, 8080, OPENER_UNKNOWN, 8080 },
		{ 53, 40000, OPENER_UNKNOWN, 53 },
		/* Below as numbers, above as the bytes on the wire. */
		{ 256, 255, OPENER_UNKNOWN, 255 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++) {
		ADD(.sport = c[i].sport, .dport = c[i].dport, .opener = c[i].opener,
		    .sent = { 1, 1 });
		view__end_interval(view, SECOND);
		assert_int_equal(take(VIEW_PORT), 1);
		assert_int_equal(ntohs(rows[0]->key.dport), c[i].port);
	}
	ADD(.dport = 53, .opener = OPENER_SOURCE, .sent = { 1, 1 });
	ADD(.dport = 53, .opener = OPENER_SOURCE, .sent = { 1, 1 }, .proto = 17);
	view__end_interval(view, SECOND);
	assert_int_equal(take(VIEW_PORT), 2);
}

/* Two interfaces counted it. Passing between two owners it is each one's, but one packet of a port, and in all. */
static void counts_once(void **state)
{
	const struct {
		enum repeated repeated;
		size_t rows[VIEW_BY_N];
	} cases[] = {
		{ REPEATED_OWNER,
		  { [VIEW_PROCESS] = 1,
		    [VIEW_USER] = 1,
		    [VIEW_CONTAINER] = 1,
		    [VIEW_PORT] = 1,
		    [VIEW_FLOW] = 2 } },
		{ REPEATED_PEER,
		  { [VIEW_PROCESS] = 2,
		    [VIEW_FLOW] = 2,
		    [VIEW_USER] = 2,
		    [VIEW_CONTAINER] = 2,
		    [VIEW_PORT] = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		view__close(view);
		assert_int_equal(view__open(&view), 0);
		ADD(.pid = 7, .uid = 7, .container = "abc", .sent = { 3, 30 });
		ADD(.pid = 8, .uid = 8, .container = "abd", .link = 1, .received = { 3, 30 },
		    .repeated = cases[i].repeated);
		view__end_interval(view, SECOND);
		for (int by = 0; by < VIEW_BY_N; by++)
			assert_int_equal(take(by), cases[i].rows[by]);
		take(VIEW_PORT);
		assert_counts(rows[0], 0, 0, 3, 30);
		assert_int_equal(view__sum(view)->received.packets, 0);
		assert_int_equal(view__sum(view)->sent.packets, 3);
	}
}

static void shows_the_weakest_how(void **state)
{
	(void)state;
	ADD(.pid = 7, .how = OWNER_EXACT, .sport = 1);
	ADD(.pid = 7, .how = OWNER_SNAPSHOT, .sport = 2);
	ADD(.pid = 7, .how = OWNER_BOUND, .sport = 3);
	view__end_interval(view, SECOND);
	take(VIEW_PROCESS);
	assert_int_equal(rows[0]->how, OWNER_SNAPSHOT);
	ADD(.pid = 7, .how = OWNER_EXACT);
	view__end_interval(view, 2 * SECOND);
	take(VIEW_PROCESS);
	assert_int_equal(rows[0]->how, OWNER_EXACT);
	ADD(.pid = 7, .how = OWNER_EXACT, .sport = 4001);
	ADD(.pid = 0, .sport = 4002);
	ADD(.pid = 7, .how = OWNER_EXACT, .sport = 4003);
	view__end_interval(view, 3 * SECOND);
	take(VIEW_PORT);
	assert_int_equal(rows[0]->how, OWNER_NONE);
}

static void follows_an_exec(void **state)
{
	(void)state;
	ADD(.pid = 7, .comm = "sh", .exe = "/bin/sh", .sent = { 1, 1 });
	ADD(.pid = 7, .comm = "curl", .exe = "/usr/bin/curl", .sent = { 1, 1 });
	view__end_interval(view, SECOND);
	assert_int_equal(take(VIEW_PROCESS), 1);
	assert_string_equal(rows[0]->comm, "curl");
	assert_string_equal(rows[0]->exe, "/usr/bin/curl");
}

/* ---- intervals ---- */

static void keeps_intervals_apart(void **state)
{
	const struct view_sum *sum;

	(void)state;
	view__end_interval(view, 5 * SECOND);
	assert_int_equal(take(VIEW_PROCESS), 0);
	ADD(.pid = 7, .sent = { 1, 10 }, .received = { 3, 30 });
	assert_int_equal(take(VIEW_PROCESS), 0); /* still under way */
	view__end_interval(view, 7 * SECOND);
	ADD(.pid = 7, .sent = { 5, 50 });
	ADD(.sent = { 3, 7 }, .received = { 2, 2 });

	assert_int_equal(take(VIEW_PROCESS), 1);
	assert_counts(rows[0], 3, 30, 1, 10);
	sum = view__sum(view);
	assert_true(sum->seconds > 1.99 && sum->seconds < 2.01);
	assert_int_equal(sum->flows, 1);
	assert_true(view_sum__unnamed(sum) == 0);

	view__end_interval(view, 8 * SECOND);
	assert_int_equal(take(VIEW_PROCESS), 2);
	assert_counts(rows[0], 0, 0, 5, 50);
	assert_int_equal(rows[0]->all_sent.bytes, 60);
	assert_int_equal(rows[0]->all_received.packets, 3);
	assert_int_equal(sum->received.packets, 2);
	assert_int_equal(sum->sent.bytes, 57);
	assert_int_equal(sum->unnamed.packets, 5);
	assert_true(view_sum__unnamed(sum) == 0.5);

	view__end_interval(view, 9 * SECOND);
	assert_int_equal(take(VIEW_PROCESS), 0);
	assert_true(view_sum__unnamed(sum) == 0);

	ADD(.pid = 7, .sent = { 1, 1 });
	view__end_interval(view, 10 * SECOND);
	assert_int_equal(take(VIEW_PROCESS), 1);
	assert_int_equal(rows[0]->all_sent.bytes, 61); /* an idle interval ends no total */
}

static void sorts(void **state)
{
	static const uint32_t first[VIEW_SORT_N] = { 2, 3, 2, 4, 5, 6 };

	(void)state;
	ADD(.pid = 2, .sport = 1, .received = { 1, 1000 });
	ADD(.pid = 3, .sport = 1, .received = { 90, 1 });
	ADD(.pid = 4, .sport = 1, .sent = { 80, 2 });
	ADD(.pid = 5, .sport = 1, .sent = { 2, 900 });
	ADD(.pid = 6, .sport = 1);
	ADD(.pid = 6, .sport = 2);
	view__end_interval(view, SECOND);
	for (int sort = 0; sort < VIEW_SORT_N; sort++) {
		assert_int_equal(view__rows(view, VIEW_PROCESS, sort, &rows), 5);
		assert_int_equal(rows[0]->pid, first[sort]);
	}
}

/* Every grouping adds up to what came in, also when there are more rows than it keeps; memory stays bounded. */
static void loses_nothing_when_full(void **state)
{
	(void)state;
	for (int interval = 1; interval <= 3; interval++) {
		const unsigned flows = 2 * VIEW_ROWS_MAX;

		for (unsigned i = 0; i < flows; i++) {
			char to[32], container[32];

			snprintf(to, sizeof(to), "10.%d.%u.%u", interval, i >> 8 & 255, i & 255);
			snprintf(container, sizeof(container), "c%u", i);
			ADD(.pid = i + 1, .uid = i, .start = (uint64_t)interval, .to = to,
			    .container = container, .dport = (uint16_t)(1 + i % 65535),
			    .opener = OPENER_SOURCE, .sent = { 1, 100 }, .received = { 2, 300 });
		}
		view__end_interval(view, (uint64_t)interval * SECOND);
		for (int by = 0; by < VIEW_BY_N; by++) {
			size_t n = view__rows(view, by, VIEW_SORT_BYTES, &rows);
			uint64_t packets = 0, bytes = 0, others = 0;

			for (size_t i = 0; i < n; i++) {
				packets += rows[i]->received.packets + rows[i]->sent.packets;
				bytes += rows[i]->received.bytes + rows[i]->sent.bytes;
				others += rows[i]->name && !strcmp(rows[i]->name, "(others)");
			}
			assert_true(n <= VIEW_ROWS_MAX + 1);
			assert_int_equal(others, 1);
			assert_int_equal(packets, 3ull * flows);
			assert_int_equal(bytes, 400ull * flows);
		}
	}
	/* Idle rows make room again. */
	view__end_interval(view, 4 * SECOND);
	ADD(.pid = 1, .uid = 99, .to = "10.9.9.9", .sent = { 1, 1 });
	view__end_interval(view, 5 * SECOND);
	assert_int_equal(take(VIEW_FLOW), 1);
	assert_null(rows[0]->name);
}

/* ---- text ---- */

static void writes_numbers(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} c[] = {
		{ 0, "0" },
		{ 999, "999" },
		{ 1000, "1.00k" },
		{ 1234, "1.23k" },
		{ 9994, "9.99k" },
		{ 9995, "10.0k" },
		{ 12345, "12.3k" },
		{ 99949, "99.9k" },
		{ 99951, "100k" },
		{ 999499, "999k" },
		{ 999500, "1.00M" },
		{ 1000000, "1.00M" },
		{ 34500000, "34.5M" },
		{ 5000000000, "5.00G" },
		{ UINT64_MAX, "18.4E" },
	};
	char text[8];

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++)
		assert_string_equal(view__human(c[i].n, text), c[i].text);
}

static void cleans_text(void **state)
{
	static const struct {
		const char *raw;
		size_t n;
		const char *clean;
	} c[] = {
		{ "nginx", 16, "nginx" },
		{ "", 16, "" },
		{ "a\nb\tc", 16, "a\\x0Ab\\x09c" },
		{ "\033[2J", 16, "\\x1B[2J" },
		{ "\x7f", 16, "\\x7F" },
		{ "\xff\xc3", 16, "\\xFF\\xC3" },
		{ "caf\xc3\xa9", 16, "caf\xc3\xa9" },
		{ "caf\xc3\xa9", 4, "caf\\xC3" },            /* cut within a character */
		{ "\xc0\xaf", 16, "\\xC0\\xAF" },            /* overlong */
		{ "\xc2\x9b", 16, "\\xC2\\x9B" },            /* C1: a control sequence, too */
		{ "a\xe2\x80\xae", 16, "a\\xE2\\x80\\xAE" }, /* turns the line around */
		{ "a\xe2\x80\x8b", 16, "a\\xE2\\x80\\x8B" }, /* no width */
		{ "\xed\xa0\x80", 16, "\\xED\\xA0\\x80" },   /* surrogate */
		{ "abcdef", 3, "abc" },
	};
	char text[80], small[6];

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(*c); i++) {
		view__clean(c[i].raw, c[i].n, text, sizeof(text));
		assert_string_equal(text, c[i].clean);
	}
	/* Never half an escape, never past the end. */
	view__clean("ab\x01\x01", 16, small, 6);
	assert_string_equal(small, "ab");
	view__clean("a\x01\x01", 16, small, 6);
	assert_string_equal(small, "a\\x01");
	view__clean("abc", 16, small, 1);
	assert_string_equal(small, "");
}

static const char *printed(enum view_by by, int width, const struct run_facts *facts)
{
	static char all[8192];
	struct view_table t = { .by = by, .width = width, .facts = facts };
	size_t at;

	view_table__take(&t, view);
	view_table__heads(&t, all, sizeof(all));
	for (size_t i = 0; i < t.n; i++) {
		at = strlen(all);
		all[at++] = '\n';
		view_table__line(&t, t.rows[i], all + at, sizeof(all) - at);
	}
	return all;
}

static void draws_rows(void **state)
{
	static const char *const ifname[] = { "eth0", "eth1" };
	static const struct run_facts facts = { .ifname = ifname, .links = 2 };

	(void)state;
	ADD(.pid = 7, .user = "root", .comm = "ev\033il", .exe = "/bin/e", .container = "abc",
	    .opener = OPENER_SOURCE, .sent = { 1, 1500 }, .received = { 20, 30000 });
	ADD(.pid = 8, .comm = HAN, .uid = 5, .sport = 443, .dport = 9, .opener = OPENER_DESTINATION,
	    .sent = { 1, 100 });
	ADD(.from = "2001:db8:1111:2222:3333:4444:5555:6666", .link = 1,
	    .to = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", .sent = { 1, 64 });
	view__end_interval(view, SECOND);
	assert_string_equal(
		printed(VIEW_PROCESS, 80, NULL),
		"    PID USER     COMM             RX pkt RX bytes TX pkt TX bytes FLOWS HOW\n"
		"      7 root     ev\\x1Bil             20    30.0k      1    1.50k     1 exact\n"
		"      8 5        " HAN "                  0        0      1      100     1 exact\n"
		"      - -        (not named)           0        0      1       64     1 none");
	assert_string_equal(
		printed(VIEW_FLOW, 80, NULL),
		"    PID COMM      FLOW (local, remote)                        RX     TX HOW\n"
		"      7 ev\\x1Bil  tcp 10.0.0.1:40000 > 10.0.0.2:443        30.0k  1.50k exact\n"
		"      8 " HAN "      tcp 10.0.0.1:443 < 10.0.0.2:9                0    100 exact\n"
		"      - -         tcp [2001:db+]:40000 - [2001:db8:+]:443      0     64 none");
	assert_string_equal(
		printed(VIEW_FLOW, 0, &facts),
		"    PID COMM      IF       "
		"FLOW (local, remote)                                                                             "
		" RX pkt     RX TX pkt     TX ALL RX ALL TX HOW\n"
		"      7 ev\\x1Bil  eth0     "
		"tcp 10.0.0.1:40000 > 10.0.0.2:443                                                                "
		"     20  30.0k      1  1.50k  30.0k  1.50k exact\n"
		"      8 " HAN "      eth0     "
		"tcp 10.0.0.1:443 < 10.0.0.2:9                                                                    "
		"      0      0      1    100      0    100 exact\n"
		"      - -         eth1     "
		"tcp [2001:db8:1111:2222:3333:4444:5555:6666]:40000 - [2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:443"
		"      0      0      1     64      0     64 none");
	assert_string_equal(printed(VIEW_PORT, 80, NULL),
			    "PORT             RX pkt RX bytes TX pkt TX bytes FLOWS HOW\n"
			    "tcp/443              20    30.0k      3    1.66k     3 none");
	assert_string_equal(printed(VIEW_CONTAINER, 80, NULL),
			    "CONTAINER        RX pkt RX bytes TX pkt TX bytes FLOWS HOW\n"
			    "abc                  20    30.0k      1    1.50k     1 exact\n"
			    "(host)                0        0      1      100     1 exact\n"
			    "(not named)           0        0      1       64     1 none");
}

/* No line wider than the table, whatever its width; and none at all past the buffer. */
static void keeps_to_the_width(void **state)
{
	char line[2048], tiny[10];

	(void)state;
	ADD(.pid = 4000000, .uid = 1, .user = "a-very-long-user-name-indeed",
	    .comm = "\1\2\3\4\5\6\7\1\2\3\4\5\6\7\1",
	    .container = "0123456789abcdef0123456789abcdef0123456789abcdef",
	    .exe = "/opt/a/very/long/path/to/some/executable/that/goes/on/and/on/and/on",
	    .from = "2001:db8:1111:2222:3333:4444:5555:6666", .to = "2001:db8::1",
	    .sent = { 123456, 7890123456 }, .received = { UINT64_MAX / 2, UINT64_MAX / 2 });
	view__end_interval(view, SECOND);
	for (int by = 0; by < VIEW_BY_N; by++) {
		for (int width = 80; width < 260; width++) {
			struct view_table t = { .by = by, .width = width };

			view_table__take(&t, view);
			assert_int_equal(t.n, 1);
			view_table__heads(&t, line, sizeof(line));
			assert_true((int)strlen(line) <= width);
			view_table__line(&t, t.rows[0], line, sizeof(line));
			assert_true((int)strlen(line) <= width);
			view_table__line(&t, t.rows[0], tiny, sizeof(tiny));
			assert_true(strlen(tiny) < sizeof(tiny));
		}
	}
}

static void prints_the_first_rows(void **state)
{
	struct view_table t = { .by = VIEW_PROCESS, .most = 2 };
	char *text;
	size_t size;
	FILE *to = open_memstream(&text, &size), *full;

	(void)state;
	for (uint32_t pid = 1; pid <= 5; pid++)
		ADD(.pid = pid, .sent = { pid, pid });
	view__end_interval(view, SECOND);
	assert_int_equal(view__print(view, to, &t), 0);
	fclose(to);
	assert_non_null(strstr(text, "\n      5 "));
	assert_non_null(strstr(text, "\n      4 "));
	assert_null(strstr(text, "\n      3 "));
	assert_non_null(strstr(text, "\n... and 3 more\n"));
	free(text);
	full = fopen("/dev/full", "w");
	assert_non_null(full);
	assert_true(view__print(view, full, &t) < 0);
	fclose(full);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_view, close_view)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(groups_by_process),
		TEST(groups_by_flow),
		TEST(groups_by_user),
		TEST(groups_by_container),
		TEST(groups_by_service_port),
		TEST(counts_once),
		TEST(shows_the_weakest_how),
		TEST(follows_an_exec),
		TEST(keeps_intervals_apart),
		TEST(sorts),
		TEST(loses_nothing_when_full),
		TEST(writes_numbers),
		TEST(cleans_text),
		TEST(draws_rows),
		TEST(keeps_to_the_width),
		TEST(prints_the_first_rows),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		fprintf(stderr, "SKIP: no C.UTF-8 locale here\n");
		return 77;
	}
	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
