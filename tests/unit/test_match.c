// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Match expressions: which flows they select, what they refuse and where, and noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "xdp/match.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const struct given {
	const char *source, *destination;
	uint16_t sport, dport;
	uint8_t proto;
	int vlan; /* -1: no tag */
} samples[] = {
	{ "10.0.0.1", "10.0.0.2", 40000, 80, 6, -1 },         /* a */
	{ "10.0.0.2", "10.0.0.1", 80, 40000, 6, -1 },         /* b */
	{ "10.0.0.1", "192.168.1.1", 5353, 53, 17, -1 },      /* c */
	{ "10.9.0.1", "10.0.0.1", 80, 80, 17, 7 },            /* d */
	{ "2001:db8::1", "2001:db8:1::2", 443, 1024, 6, -1 }, /* e */
	{ "2001:db8:1::2", "fe80::1", 65535, 0, 17, 0 },      /* f */
	{ "::ffff:10.0.0.1", "::ffff:10.0.0.2", 80, 80, 6,
	  -1 }, /* g: IPv6, in spite of its looks */
};

static struct parsed parsed(const struct given *s)
{
	bool v6 = strchr(s->source, ':') != NULL;
	struct parsed p = { .tags = s->vlan >= 0, .vlan = s->vlan < 0 ? 0 : s->vlan };
	struct flow_key *k = &p.flow.key;

	k->saddr[10] = k->saddr[11] = k->daddr[10] = k->daddr[11] = 0xff;
	inet_pton(v6 ? AF_INET6 : AF_INET, s->source, k->saddr + (v6 ? 0 : 12));
	inet_pton(v6 ? AF_INET6 : AF_INET, s->destination, k->daddr + (v6 ? 0 : 12));
	k->sport = htons(s->sport);
	k->dport = htons(s->dport);
	k->proto = s->proto;
	k->family = v6 ? 6 : 4;
	return p;
}

static const char *selected(const struct match *m)
{
	static char letters[COUNT(samples) + 1];
	size_t n = 0;

	for (size_t i = 0; i < COUNT(samples); i++) {
		struct parsed p = parsed(&samples[i]);

		if (match__test(&p, m))
			letters[n++] = 'a' + i;
	}
	letters[n] = '\0';
	return letters;
}

static int compile(struct match *m, const char *expr)
{
	char why[120];
	unsigned at;

	return match__compile(m, expr, &at, why, sizeof(why));
}

static const struct {
	const char *expr, *selects;
} good[] = {
	{ "tcp", "abeg" },
	{ "udp", "cdf" },
	{ "ip", "abcd" },
	{ "ip6", "efg" },
	{ "port 80", "abdg" },
	{ "src port 80", "bdg" },
	{ "dst port 80", "adg" },
	{ "tcp port 80", "abg" },
	{ "udp port 80", "d" },
	{ "tcp src port 80", "bg" },
	{ "udp dst portrange 1-79", "c" },
	{ "port 0", "f" },
	{ "port 65535", "f" },
	{ "portrange 0-65535", "abcdefg" },
	{ "portrange 81-1023", "e" },
	{ "portrange 53-53", "c" },
	{ "host 10.0.0.1", "abcd" },
	{ "src host 10.0.0.1", "ac" },
	{ "dst host 10.0.0.1", "bd" },
	{ "host ::ffff:10.0.0.1", "g" },
	{ "host 2001:db8:1::2", "ef" },
	{ "host 2001:DB8:1:0::2", "ef" },
	{ "net 10.0.0.0/8", "abcd" },
	{ "src net 10.0.0.0/24", "abc" },
	{ "dst net 10.0.0.2/31", "a" },
	{ "net 0.0.0.0/0", "abcd" },
	{ "net ::/0", "efg" },
	{ "src net 2001:db8::/47", "ef" },
	{ "src net 2001:db8::/48", "e" },
	{ "net fe80::1/128", "f" },
	{ "vlan", "df" },
	{ "vlan 7", "d" },
	{ "vlan 0", "f" },
	{ "vlan 8", "" },
	{ "not tcp", "cdf" },
	{ "! tcp", "cdf" },
	{ "!tcp", "cdf" },
	{ "not not tcp", "abeg" },
	{ "not !(!tcp)", "cdf" },
	{ "tcp and ip", "ab" },
	{ "tcp&&ip", "ab" },
	{ "udp or ip6", "cdefg" },
	{ "udp||ip6", "cdefg" },
	/* and, or: equal, from left to right */
	{ "udp or ip6 and port 80", "dg" },
	{ "udp or (ip6 and port 80)", "cdfg" },
	{ "ip6 and port 80 or udp", "cdfg" },
	{ "ip6 and (port 80 or udp)", "fg" },
	{ "tcp or udp and port 53 or vlan", "cdf" },
	/* not binds tightest, also before what has two tests in it */
	{ "not tcp and ip", "cd" },
	{ "not udp port 80", "abcefg" },
	{ "not (tcp or vlan)", "c" },
	{ " \t\ntcp\r ", "abeg" },
	{ "(tcp)", "abeg" },
	{ "((((tcp)))and(ip))", "ab" },
	{ "tcp and not tcp", "" },
	{ "tcp or not tcp", "abcdefg" },
};

static void selects(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct match m = { 0 };

		if (compile(&m, good[i].expr))
			fail_msg("'%s' was refused", good[i].expr);
		assert_int_equal(m.active, 1);
		if (strcmp(selected(&m), good[i].selects))
			fail_msg("'%s' selects %s, not %s", good[i].expr, selected(&m),
				 good[i].selects);
	}
}

static void selects_everything_when_not_asked(void **state)
{
	struct match m = { 0 };

	(void)state;
	assert_string_equal(selected(&m), "abcdefg");
}

static void ors_a_second_expression(void **state)
{
	struct match m = { 0 };

	(void)state;
	assert_int_equal(compile(&m, "tcp and ip"), 0);
	assert_int_equal(compile(&m, "not (tcp or port 80) and ip"), 0);
	assert_string_equal(selected(&m), "abc");
	assert_int_equal(compile(&m, "vlan 7"), 0);
	assert_string_equal(selected(&m), "abcd");
}

static unsigned predicates(const struct match *m)
{
	unsigned n = 0;

	for (int i = 0; i < MATCH_PREDICATES; i++)
		n += m->predicate[i].kind != MATCH_NOTHING;
	return n;
}

static void asks_each_test_once(void **state)
{
	struct match m = { 0 };

	(void)state;
	assert_int_equal(compile(&m, "tcp port 80 or tcp port 81 or not tcp and port 80"), 0);
	assert_int_equal(predicates(&m), 3);
	assert_int_equal(compile(&m, "portrange 80-80 and tcp"), 0);
	assert_int_equal(predicates(&m), 3);
	assert_int_equal(compile(&m, "host 10.0.0.1 and net 10.0.0.1/32"), 0);
	assert_int_equal(predicates(&m), 4);
	/* An end, a family or a length of its own is another test. */
	assert_int_equal(compile(&m, "src host 10.0.0.1 or host ::ffff:10.0.0.1"), 0);
	assert_int_equal(predicates(&m), 6);
}

static void knows_its_limit(void **state)
{
	static const char ten[] =
		"port 0 or port 1 or port 2 or port 3 or port 4 or port 5 or port 6 "
		"or port 7 or port 80 or port 9";
	struct match m = { 0 }, before;
	char why[120], eleven[sizeof(ten) + 20];
	unsigned at;

	(void)state;
	assert_int_equal(compile(&m, ten), 0);
	assert_int_equal(predicates(&m), MATCH_PREDICATES);
	assert_string_equal(selected(&m), "abdfg");
	before = m;
	assert_int_equal(match__compile(&m, "tcp", &at, why, sizeof(why)), -E2BIG);
	assert_memory_equal(&m, &before, sizeof(m));
	assert_int_equal(at, 0);
	assert_string_not_equal(why, "");

	m = (struct match){ 0 };
	snprintf(eleven, sizeof(eleven), "%s or vlan", ten);
	assert_int_equal(match__compile(&m, eleven, &at, why, sizeof(why)), -E2BIG);
	assert_int_equal(at, strlen(eleven) - 4);
	assert_int_equal(m.active, 0);
	assert_int_equal(predicates(&m), 0);
}

/* The offset of the word to blame. */
static const struct {
	const char *expr;
	unsigned at;
} wrong[] = {
	{ "", 0 },
	{ "  ", 2 },
	{ "http", 0 },
	{ "80", 0 },
	{ "TCP", 0 },
	{ "tcp udp", 4 },
	{ "tcp port", 8 },
	{ "tcp port http", 9 },
	{ "port 65536", 5 },
	{ "port -1", 5 },
	{ "port 0x50", 5 },
	{ "port 80 or 443", 11 },
	{ "port 99999999999999999999", 5 },
	{ "port 00000000000000000000000000000000000000000000000000000000000000000000000080", 5 },
	{ "tcp host 10.0.0.1", 4 },
	{ "tcp src host 10.0.0.1", 8 },
	{ "src 10.0.0.1", 4 },
	{ "src or dst port 80", 4 },
	{ "src", 3 },
	{ "portrange 80", 10 },
	{ "portrange 81-80", 10 },
	{ "portrange -80", 10 },
	{ "portrange 80-", 10 },
	{ "portrange 1-2-3", 10 },
	{ "portrange 1-70000", 10 },
	{ "host example.org", 5 },
	{ "host 10.0.0", 5 },
	{ "host 10.0.0.256", 5 },
	{ "host 10.0.0.1/32", 5 },
	{ "host 2001:db8::g", 5 },
	{ "host fe80::1%eth0", 5 },
	{ "net 10.0.0.0", 4 },
	{ "net 10/8", 4 },
	{ "net 10.0.0.0/33", 4 },
	{ "net 10.0.0.0/", 4 },
	{ "net 10.0.0.0/8/8", 4 },
	{ "net 10.0.0.1/8", 4 },
	{ "net 0.0.0.1/0", 4 },
	{ "net 2001:db8::/129", 4 },
	{ "net 2001:db8::1/64", 4 },
	{ "net /8", 4 },
	{ "vlan 4096", 5 },
	{ "vlan 1x", 5 },
	{ "vlan seven", 5 },
	{ "not", 3 },
	{ "tcp and", 7 },
	{ "and tcp", 0 },
	{ "tcp and or udp", 8 },
	{ "tcp & udp", 4 },
	{ "tcp | udp", 4 },
	{ "tcp ||| udp", 6 },
	{ "(tcp", 4 },
	{ "tcp)", 3 },
	{ "()", 1 },
	{ "(tcp or) udp", 7 },
	{ "tcp \xff", 4 },
	{ "tcp, udp", 0 },
};

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct match m = { 0 }, before;
		char why[160] = "";
		unsigned at = 9999;
		int err;

		assert_int_equal(compile(&m, "udp"), 0);
		before = m;
		err = match__compile(&m, wrong[i].expr, &at, why, sizeof(why));
		if (err != -EINVAL || at != wrong[i].at || !why[0])
			fail_msg("'%s': returned %d at %u: %s", wrong[i].expr, err, at, why);
		for (const char *p = why; *p; p++)
			assert_true(*p >= ' ' && *p <= '~');
		assert_memory_equal(&m, &before, sizeof(m));
	}
}

static void writes_no_further_than_why(void **state)
{
	struct match m = { 0 };
	char why[8] = "1234567";
	unsigned at;

	(void)state;
	assert_int_equal(match__compile(&m, "port x", &at, why, 4), -EINVAL);
	assert_int_equal(strlen(why), 3);
	assert_string_equal(why + 4, "567");
	assert_int_equal(match__compile(&m, "port x", &at, NULL, 0), -EINVAL);
}

/* open times "(", "tcp", close times ")" */
static int nested(unsigned open, unsigned close)
{
	char *expr = malloc(open + close + 4);
	struct match m = { 0 };
	int err;

	memset(expr, '(', open);
	memcpy(expr + open, "tcp", 3);
	memset(expr + open + 3, ')', close);
	expr[open + 3 + close] = '\0';
	err = compile(&m, expr);
	free(expr);
	return err;
}

static void bounds_its_depth(void **state)
{
	char *many = malloc(4000001);
	struct match m = { 0 };

	(void)state;
	assert_int_equal(nested(32, 32), 0);
	assert_int_equal(nested(33, 33), -EINVAL);
	assert_int_equal(nested(1000000, 1000000), -EINVAL);
	assert_int_equal(nested(3, 2), -EINVAL);

	memset(many, '!', 1000000);
	strcpy(many + 1000000, "tcp");
	assert_int_equal(compile(&m, many), 0);
	assert_string_equal(selected(&m), "abeg");
	many[0] = '\0';
	for (char *p = many; p < many + 400000; p += 8)
		memcpy(p, "udp and ", 9);
	strcat(many, "udp");
	m = (struct match){ 0 };
	assert_int_equal(compile(&m, many), 0);
	assert_string_equal(selected(&m), "cdf");

	/* Side by side they are not deep. */
	many[0] = '\0';
	for (int i = 0; i < 100; i++)
		strcat(many, "(tcp) or ");
	strcat(many, "(tcp)");
	assert_int_equal(compile(&m, many), 0);
	free(many);
}

/* What match__complain() says, as one text. */
static const char *complaint(const char *expr, unsigned at, const char *why)
{
	static char text[1024];
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	match__complain(expr, at, why);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void points_at_the_place(void **state)
{
	char expr[400];
	const char *text, *line, *caret;

	(void)state;
	assert_string_equal(complaint("tcp\n\x1b[1m", 3, "no"), "wirewho: match expression: no\n"
								"wirewho:   tcp??[1m\n"
								"wirewho:      ^\n");
	assert_string_equal(complaint("", 0, "no"), "wirewho: match expression: no\n"
						    "wirewho:   \n"
						    "wirewho:   ^\n");
	/* Of a long one, what stands around the place. */
	memset(expr, 'x', sizeof(expr) - 1);
	expr[sizeof(expr) - 1] = '\0';
	expr[200] = '#';
	text = complaint(expr, 200, "no");
	line = strchr(text, '\n') + 1;
	caret = strchr(line, '\n') + 1;
	assert_true(caret - line < 100);
	assert_int_equal(strchr(line, '#') - line, strchr(caret, '^') - caret);
}

/* Whatever the expression: an answer, a place within it, no byte outside. Meant for ASan too. */
static void survives_noise(void **state)
{
	static const char *const words[] = {
		"tcp",         "udp",
		"ip",          "ip6",
		"port",        "portrange",
		"host",        "net",
		"vlan",        "src",
		"dst",         "and",
		"or",          "not",
		"!",           "(",
		")",           "&&",
		"||",          "&",
		" ",           "80",
		"1-2",         "10.0.0.0/8",
		"::1",         "2001:db8::/32",
		"4095",        "\xff",
		"\n",          "-",
		"/",           ":",
		"99999999999",
	};
	unsigned seed = 1, taken = 0;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		char text[256] = "", why[64], *exact;
		struct match m = { 0 };
		unsigned at = 0, n = 1 + rand_r(&seed) % 12;
		int err;

		for (unsigned i = 0; i < n; i++) {
			strcat(text, words[rand_r(&seed) % COUNT(words)]);
			strcat(text, rand_r(&seed) % 4 ? " " : "");
		}
		if (!(rand_r(&seed) % 4))
			text[rand_r(&seed) % strlen(text)] = rand_r(&seed);
		exact = strdup(text);
		err = match__compile(&m, exact, &at, why, sizeof(why));
		taken += !err;
		assert_true(err == 0 || err == -EINVAL || err == -E2BIG);
		assert_int_equal(m.active, err ? 0 : 1);
		assert_true(at <= strlen(exact));
		free(exact);
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects),
		cmocka_unit_test(selects_everything_when_not_asked),
		cmocka_unit_test(ors_a_second_expression),
		cmocka_unit_test(asks_each_test_once),
		cmocka_unit_test(knows_its_limit),
		cmocka_unit_test(refuses),
		cmocka_unit_test(writes_no_further_than_why),
		cmocka_unit_test(bounds_its_depth),
		cmocka_unit_test(points_at_the_place),
		cmocka_unit_test(survives_noise),
	};

	return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
