// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* JSON Lines, and what it is made of: text, times, which end is the source, the ledger's difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>
#include "tools/outputs/output.h"
#include "tools/text.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define SECOND 1000000000ull

/* ---- text ---- */

static const struct {
	const char *bytes, *text;
} texts[] = {
	{ "", "" },
	{ "nginx", "nginx" },
	{ "a\tb\x1b[2J\x7f", "a\tb\x1b[2J\x7f" }, /* JSON escapes them */
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "\xe2\x82\xac\xf0\x9f\x90\xa7", "\xe2\x82\xac\xf0\x9f\x90\xa7" },
	{ "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf" },
	{ "\xff", "\\xFF" },
	{ "a\x80z", "a\\x80z" },
	{ "\xc3", "\\xC3" },
	{ "\xc3(", "\\xC3(" },
	{ "\xe2\x82", "\\xE2\\x82" },
	{ "\xe2\x82z", "\\xE2\\x82z" },
	{ "\xf0\x9f\x90", "\\xF0\\x9F\\x90" },
	{ "\xc0\xaf", "\\xC0\\xAF" },                   /* overlong */
	{ "\xc1\xbf", "\\xC1\\xBF" },                   /* overlong */
	{ "\xe0\x9f\xbf", "\\xE0\\x9F\\xBF" },          /* overlong */
	{ "\xf0\x8f\xbf\xbf", "\\xF0\\x8F\\xBF\\xBF" }, /* overlong */
	{ "\xed\xa0\x80", "\\xED\\xA0\\x80" },          /* surrogate */
	{ "\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80" }, /* beyond U+10FFFF */
	{ "\xf5\x80\x80\x80", "\\xF5\\x80\\x80\\x80" },
};

static void makes_utf8_of_bytes(void **state)
{
	char to[64];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		size_t n = text__utf8(to, sizeof(to), texts[i].bytes, strlen(texts[i].bytes));

		assert_string_equal(to, texts[i].text);
		assert_int_equal(n, strlen(to));
	}
	text__utf8(to, sizeof(to), "ab\0cd", 5);
	assert_string_equal(to, "ab");
	text__utf8(to, sizeof(to), "abcd", 3);
	assert_string_equal(to, "abc");
}

static void cuts_between_characters(void **state)
{
	char to[12];

	(void)state;
	for (size_t size = 0; size < sizeof(to); size++) {
		size_t n;

		memset(to, '#', sizeof(to));
		n = text__utf8(to, size, "\xc3\xbc\xff\xe2\x82\xac", 6);
		assert_int_equal(n, size < 3 ? 0 : size < 7 ? 2 : size < 10 ? 6 : 9);
		if (size)
			assert_int_equal(to[n], 0);
		for (size_t i = size; i < sizeof(to); i++)
			assert_int_equal(to[i], '#');
	}
}

/* No bytes whatever may make jansson refuse the text. */
static void json_takes_any_bytes(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 50000; round++) {
		char bytes[16], to[4 * sizeof(bytes) + 1];
		json_t *value;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = rand_r(&seed) % 2 ? rand_r(&seed) : 0x80 + rand_r(&seed) % 128;
		text__utf8(to, sizeof(to), bytes, sizeof(bytes));
		value = json_string(to);
		assert_non_null(value);
		json_decref(value);
	}
}

static void writes_times(void **state)
{
	char to[TEXT_TIME_SIZE];

	(void)state;
	assert_string_equal(text__time(to, 0), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(text__time(to, 951782400 * SECOND + 5),
			    "2000-02-29T00:00:00.000000005Z");
	assert_string_equal(text__time(to, UINT64_MAX), "2554-07-21T23:34:33.709551615Z");
}

/* ---- a run to write about ---- */

static const char *const ifnames[] = { "lo", "et\xffh0" };
static const struct run_facts live = { .ifname = ifnames, .links = 2, .live = true };
static const char *const no_names[] = { "" };
static const struct run_facts offline = { .ifname = no_names, .links = 1, .file = "web.pcap" };

static struct flow_key key_of(uint16_t sport, uint16_t dport, uint8_t proto)
{
	struct flow_key key = {
		.sport = htons(sport),
		.dport = htons(dport),
		.proto = proto,
		.family = 4,
		.link = 1,
	};

	memcpy(key.saddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1", 16);
	memcpy(key.daddr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
	return key;
}

static char path[] = "/tmp/wirewho-jsonl-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

/* One record (or ledger) through the output; the object that its only line is. */
static json_t *written(const struct run_facts *facts, const struct flow_record *r,
		       const struct ledger *l)
{
	struct output *o;
	json_t *line;
	char text[8192];
	FILE *file;

	assert_int_equal(output_jsonl.open(&o, path, facts), 0);
	if (r)
		assert_int_equal(o->kind->flow(o, r), 0);
	assert_int_equal(o->kind->flush(o), 0);
	if (l)
		assert_int_equal(o->kind->ledger(o, l), 0);
	assert_int_equal(o->kind->close(o), 0);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_null(strchr(text, ' ')); /* compact */
	assert_int_equal(text[strlen(text) - 1], '\n');
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(line);
	return line;
}

/* The field at "a.b.c" as compact JSON, "-" where there is none. */
static const char *field(json_t *line, const char *name)
{
	static char text[512];
	char part[64];

	while (*name && line) {
		size_t n = strcspn(name, ".");

		snprintf(part, sizeof(part), "%.*s", (int)n, name);
		line = json_is_array(line) ? json_array_get(line, atoi(part))
					   : json_object_get(line, part);
		name += n + (name[n] == '.');
	}
	if (!line)
		return "-";
	text[json_dumpb(line, text, sizeof(text) - 1, JSON_COMPACT | JSON_ENCODE_ANY)] = '\0';
	return text;
}

static void has_fields(json_t *line, const char *const (*want)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(field(line, want[i][0]), want[i][1]))
			fail_msg("%s is %s, not %s", want[i][0], field(line, want[i][0]),
				 want[i][1]);
	json_decref(line);
}

/* ---- records ---- */

static struct process owner = {
	.who = { .pid = 4242, .uid = 33, .start = 1, .comm = "ng\xffinx\n" },
	.parent = 1,
	.exe = "/usr/sbin/nginx",
	.user = "www-data",
	.container = "0123456789ab",
};

static void writes_a_live_record(void **state)
{
	static const char *const want[][2] = {
		{ "@timestamp", "\"1970-01-01T00:00:09.000000000Z\"" },
		{ "event", "{\"kind\":\"metric\",\"start\":\"1970-01-01T00:00:03.000000000Z\","
			   "\"end\":\"1970-01-01T00:00:08.000000001Z\"}" },
		{ "network", "{\"transport\":\"tcp\",\"type\":\"ipv4\","
			     "\"community_id\":\"1:w9iuTaiuttyYUFKthLzeDYFDHRk=\","
			     "\"direction\":\"ingress\"}" },
		/* The remote end opened it, so the record turns the oriented key around. */
		{ "source", "{\"ip\":\"10.0.0.2\",\"port\":50000,\"packets\":0,\"bytes\":0}" },
		{ "destination", "{\"ip\":\"10.0.0.1\",\"port\":443,\"packets\":7,\"bytes\":700}" },
		{ "process.pid", "4242" },
		{ "process.name", "\"ng\\\\xFFinx\\n\"" },
		{ "process.executable", "\"/usr/sbin/nginx\"" },
		{ "process.parent", "{\"pid\":1}" },
		{ "user", "{\"id\":\"33\",\"name\":\"www-data\"}" },
		{ "container", "{\"id\":\"0123456789ab\"}" },
		{ "observer", "{\"ingress\":{\"interface\":{\"name\":\"et\\\\xFFh0\"}}}" },
		{ "wirewho", "{\"attribution\":\"listener\",\"local\":\"destination\"}" },
	};
	struct flow_key key = key_of(443, 50000, IPPROTO_TCP);
	struct flow_view flow = { .key = &key,
				  .sent = { 7, 700 },
				  .opener = OPENER_DESTINATION,
				  .who = &owner.who,
				  .how = OWNER_LISTENER };
	struct flow_record r = { .flow = &flow,
				 .now = 9 * SECOND,
				 .start = 3 * SECOND,
				 .end = 8 * SECOND + 1,
				 .process = &owner };
	json_t *line = written(&live, &r, NULL);

	(void)state;
	assert_int_equal(strlen(json_string_value(
				 json_object_get(json_object_get(line, "process"), "start"))),
			 TEXT_TIME_SIZE - 1);
	has_fields(line, want, COUNT(want));
}

static void leaves_out_what_is_not_known(void **state)
{
	static const char *const want[][2] = {
		{ "network.direction", "\"egress\"" },
		{ "source.port", "50000" },
		{ "process", "-" },
		{ "user", "-" },
		{ "container", "-" },
		{ "wirewho.attribution", "\"none\"" },
		{ "wirewho.local", "\"source\"" },
	};
	static const char *const little[][2] = {
		{ "process", "{\"pid\":7,\"name\":\"sh\"}" },
		{ "user", "{\"id\":\"0\"}" },
		{ "container", "-" },
	};
	struct flow_key key = key_of(50000, 443, IPPROTO_UDP);
	struct flow_view flow = { .key = &key, .received = { 1, 60 } };
	struct flow_record r = { .flow = &flow };
	struct process p = { .who = { .pid = 7, .comm = "sh" } };

	(void)state;
	has_fields(written(&live, &r, NULL), want, COUNT(want));
	flow.who = &p.who;
	r.process = &p;
	has_fields(written(&live, &r, NULL), little, COUNT(little));
}

static void names_nobody_offline(void **state)
{
	static const char *const want[][2] = {
		{ "network", "{\"transport\":\"udp\",\"type\":\"ipv6\","
			     "\"community_id\":\"1:aWru6eMvLXj4vPnN++trXX5L01g=\"}" },
		{ "source", "{\"ip\":\"2001:db8::1\",\"port\":5353,\"packets\":1,\"bytes\":60}" },
		{ "destination",
		  "{\"ip\":\"::ffff:10.0.0.2\",\"port\":53,\"packets\":2,\"bytes\":99}" },
		{ "process", "-" },
		{ "observer", "-" },
		{ "wirewho", "-" },
	};
	struct flow_key key = key_of(5353, 53, IPPROTO_UDP);
	struct flow_view flow = { .key = &key, .sent = { 1, 60 }, .received = { 2, 99 } };
	struct flow_record r = { .flow = &flow };

	(void)state;
	key.family = 6;
	inet_pton(AF_INET6, "2001:db8::1", key.saddr);
	has_fields(written(&offline, &r, NULL), want, COUNT(want));
}

static void finds_the_source(void **state)
{
	static const struct {
		uint16_t sport, dport;
		enum opener opener;
		bool source;
	} cases[] = {
		{ 1, 2, OPENER_SOURCE, true },      { 2, 1, OPENER_DESTINATION, false },
		{ 1, 256, OPENER_UNKNOWN, false },  { 256, 1, OPENER_UNKNOWN, true },
		{ 123, 123, OPENER_UNKNOWN, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct flow_key key = key_of(cases[i].sport, cases[i].dport, IPPROTO_UDP);
		struct flow_view flow = { .key = &key, .opener = cases[i].opener };

		assert_int_equal(flow_view__source_opened(&flow), cases[i].source);
	}
}

/* ---- the ledger ---- */

static struct ledger_line lines[2];
static struct ledger ledger = {
	.start = SECOND,
	.end = 2 * SECOND,
	.now = 3 * SECOND,
	.line = lines,
	.lines = 2,
	.by_how = { [OWNER_EXACT] = { 5, 500 } },
	.owner_events_lost = 3,
	.join_failed_packets = 4,
};

static void fill_lines(void)
{
	lines[0] = (struct ledger_line){ .ifname = "eth0",
					 .direction = "receive",
					 .attach = "native,direct" };
	lines[0].tally.seen = (struct count){ 10, 1000 };
	lines[0].tally.reason[REASON_FLOW] = (struct count){ 6, 600 };
	lines[0].tally.reason[REASON_ARP] = (struct count){ 3, 300 };
	lines[0].has_driver = true;
	lines[0].driver = (struct driver_range){ { 10, 1000 }, { 11, 1100 } };
	lines[0].tally.sample[SAMPLE_COPIED] = (struct count){ 2, 200 };
	lines[1] = (struct ledger_line){ .ifname = "eth0", .direction = "transmit", .attach = "" };
	lines[1].tally.reason[REASON_OTHER_L4] = (struct count){ 1, 1 };
}

static void writes_the_ledger(void **state)
{
	static const char *const want[][2] = {
		{ "@timestamp", "\"1970-01-01T00:00:03.000000000Z\"" },
		{ "event.kind", "\"state\"" },
		{ "event.end", "\"1970-01-01T00:00:02.000000000Z\"" },
		{ "wirewho.ledger.file", "-" },
		{ "wirewho.ledger.lines.0.interface", "\"eth0\"" },
		{ "wirewho.ledger.lines.0.direction", "\"receive\"" },
		{ "wirewho.ledger.lines.0.attach", "\"native,direct\"" },
		{ "wirewho.ledger.lines.0.seen", "{\"packets\":10,\"bytes\":1000}" },
		{ "wirewho.ledger.lines.0.arp", "{\"packets\":3,\"bytes\":300}" },
		{ "wirewho.ledger.lines.0.difference", "1" },
		{ "wirewho.ledger.lines.0.difference_bytes", "100" },
		{ "wirewho.ledger.lines.0.driver",
		  "{\"least\":{\"packets\":10,\"bytes\":1000},\"most\":{\"packets\":11,\"bytes\":1100}}" },
		{ "wirewho.ledger.lines.0.samples", "{\"copied\":{\"packets\":2,\"bytes\":200}}" },
		{ "wirewho.ledger.lines.1.attach", "-" },
		{ "wirewho.ledger.lines.1.samples", "-" },
		{ "wirewho.ledger.lines.1.driver", "-" },
		{ "wirewho.ledger.lines.1.difference", "-1" },
		{ "wirewho.ledger.lines.2", "-" },
		{ "wirewho.ledger.attribution.exact", "{\"packets\":5,\"bytes\":500}" },
		{ "wirewho.ledger.attribution.none", "{\"packets\":0,\"bytes\":0}" },
		{ "wirewho.ledger.owner_events_lost", "3" },
		{ "wirewho.ledger.join_failed_packets", "4" },
	};
	static const char *const read[][2] = {
		{ "wirewho.ledger.file", "\"web.pcap\"" },
		{ "wirewho.ledger.attribution", "-" },
	};
	json_t *line;

	(void)state;
	fill_lines();
	line = written(&live, NULL, &ledger);
	for (int i = 0; i < REASON_N; i++) {
		char name[64];

		snprintf(name, sizeof(name), "wirewho.ledger.lines.1.%s.packets", reason_names[i]);
		assert_string_equal(field(line, name), i == REASON_OTHER_L4 ? "1" : "0");
	}
	has_fields(line, want, COUNT(want));
	has_fields(written(&offline, NULL, &ledger), read, COUNT(read));
}

static void prints_the_ledger(void **state)
{
	struct tally cpu[3] = { { .seen = { 7, 700 } }, {}, { .seen = { 3, 300 } } };
	char text[1024] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	(void)state;
	fill_lines();
	cpu[0].reason[REASON_FLOW] = (struct count){ 6, 600 };
	cpu[2].reason[REASON_ARP] = (struct count){ 3, 300 };
	lines[0].cpu = cpu;
	lines[0].cpus = COUNT(cpu);
	assert_int_equal(ledger__print(&ledger, file), 0);
	fclose(file);
	assert_string_equal(
		text,
		"eth0 receive: 10 packets, 1000 bytes = 6 flow, 3 arp; "
		"difference 1; driver 10 to 11; samples: 2 copied\n"
		"  CPU 0: 7 packets, 700 bytes = 6 flow; difference 1\n"
		"  CPU 2: 3 packets, 300 bytes = 3 arp; difference 0\n"
		"eth0 transmit: 0 packets, 0 bytes = 1 other_l4; difference -1\n"
		"owners: 100.00% of packets (100.00% of bytes) exact, 0.00% of packets (0.00% of bytes) "
		"none\n"
		"owner events lost: 3\n"
		"packets without memory for their flow: 4\n");
}

/* ---- outputs that fail ---- */

/* Lines said while records go to `arg` until it fails, with what it failed. */
static int fails_with(const char *arg, int *lines_said)
{
	struct flow_key key = key_of(1, 2, IPPROTO_TCP);
	struct flow_view flow = { .key = &key };
	struct flow_record r = { .flow = &flow };
	FILE *said = tmpfile();
	int saved = dup(STDERR_FILENO), err;
	struct output *o;

	assert_non_null(said);
	fflush(stderr);
	dup2(fileno(said), STDERR_FILENO);
	err = output_jsonl.open(&o, arg, &offline);
	if (!err) {
		for (int i = 0; i < 1000 && !err; i++)
			err = o->kind->flow(o, &r);
		assert_int_equal(o->kind->flow(o, &r), err);
		assert_int_equal(o->kind->flush(o), err);
		assert_int_equal(o->kind->ledger(o, &ledger), err);
		assert_int_equal(o->kind->close(o), err);
	}
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(said);
	for (*lines_said = 0; !feof(said);)
		*lines_said += fgetc(said) == '\n';
	fclose(said);
	return err;
}

static void says_a_failure_once(void **state)
{
	int said;

	(void)state;
	assert_int_equal(fails_with("/dev/full", &said), -ENOSPC);
	assert_int_equal(said, 1);
	assert_int_equal(fails_with("/nonexistent/x", &said), -ENOENT);
	assert_int_equal(said, 1);
	assert_int_equal(fails_with("/tmp", &said), -EISDIR);
	assert_int_equal(said, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_utf8_of_bytes),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(json_takes_any_bytes),
		cmocka_unit_test(writes_times),
		cmocka_unit_test(writes_a_live_record),
		cmocka_unit_test(leaves_out_what_is_not_known),
		cmocka_unit_test(names_nobody_offline),
		cmocka_unit_test(finds_the_source),
		cmocka_unit_test(writes_the_ledger),
		cmocka_unit_test(prints_the_ledger),
		cmocka_unit_test(says_a_failure_once),
	};

	return cmocka_run_group_tests_name("jsonl", tests, make_file, remove_file);
}
