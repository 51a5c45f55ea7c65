// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* pcapng blocks: byte for byte, as libpcap reads them, and as our own reader finds processes in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <pcap/pcap.h>
#include "tools/capture/owner.h"
#include "tools/capture/pcapng.h"
#include "tools/capture/pcapng_reader.h"
#include "tools/capture/rotate.h"

#define T0 1700000000123456789ull

static const struct pcapng_options none;
static uint8_t block[1 << 20];

static uint32_t u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint16_t u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Length in front and behind agree, and are what was returned. */
static void assert_framed(size_t size, uint32_t type)
{
	assert_true(size > 0);
	assert_int_equal(size % 4, 0);
	assert_int_equal(u32(block), type);
	assert_int_equal(u32(block + 4), size);
	assert_int_equal(u32(block + size - 4), size);
	assert_int_equal(pcapng__block_size(block), size);
}

static void test_section(void **state)
{
	const struct pcapng_option option[] = { pcapng__text(PCAPNG_SHB_OS, "Linux"),
						pcapng__text(PCAPNG_SHB_USERAPPL, "wirewho") };
	size_t size = pcapng__section(block, sizeof(block), (struct pcapng_options){ option, 2 });

	(void)state;
	assert_framed(size, 0x0A0D0D0A);
	assert_int_equal(u32(block + 8), 0x1A2B3C4D);
	assert_int_equal(u16(block + 12), 1);
	assert_int_equal(u16(block + 14), 0);
	assert_int_equal(u32(block + 16), UINT32_MAX);
	assert_int_equal(u32(block + 20), UINT32_MAX);
	assert_int_equal(u16(block + 24), 3);
	assert_int_equal(u16(block + 26), 5);
	assert_memory_equal(block + 28, "Linux\0\0\0", 8);
	assert_int_equal(u16(block + 36), 4);
	assert_memory_equal(block + 40, "wirewho\0", 8);
	assert_int_equal(u32(block + 48), 0);
	assert_int_equal(size, 56);
}

/* Options that were encoded before make the same packet. */
static void test_packet_encoded(void **state)
{
	const uint32_t queue = 7, flags = PCAPNG_INBOUND;
	const struct pcapng_option option[] = { { PCAPNG_EPB_QUEUE, 4, &queue },
						{ PCAPNG_EPB_FLAGS, 4, &flags } };
	const struct pcapng_options options = { option, 2 };
	struct pcapng_packet p = {
		.time = T0, .caplen = 5, .length = 60, .data = "abcde", .options = options
	};
	size_t size = pcapng__packet(block, sizeof(block), &p);
	uint8_t encoded[32], second[128];

	(void)state;
	assert_int_equal(pcapng__options(encoded, 19, options), 0);
	p.options = none;
	p.encoded = encoded;
	p.encoded_size = pcapng__options(encoded, sizeof(encoded), options);
	assert_int_equal(p.encoded_size, 20);
	assert_int_equal(pcapng__packet_size(&p), size);
	assert_int_equal(pcapng__packet(second, size - 1, &p), 0);
	assert_int_equal(pcapng__packet(second, sizeof(second), &p), size);
	assert_memory_equal(second, block, size);
}

static void test_packet(void **state)
{
	const uint32_t queue = 7;
	const struct pcapng_option option[] = { { PCAPNG_EPB_QUEUE, 4, &queue },
						pcapng__text(PCAPNG_COMMENT, "pid=1 comm=a") };
	const struct pcapng_packet p = { .interface = 3,
					 .time = 0x0102030405060708,
					 .caplen = 5,
					 .length = 1500,
					 .data = "abcde",
					 .options = { option, 2 } };
	size_t size = pcapng__packet(block, sizeof(block), &p);

	(void)state;
	assert_framed(size, 6);
	assert_int_equal(size, pcapng__packet_size(&p));
	assert_int_equal(u32(block + 8), 3);
	assert_int_equal(u32(block + 12), 0x01020304);
	assert_int_equal(u32(block + 16), 0x05060708);
	assert_int_equal(u32(block + 20), 5);
	assert_int_equal(u32(block + 24), 1500);
	assert_memory_equal(block + 28, "abcde\0\0\0", 8);
	assert_int_equal(u16(block + 36), 6);
	assert_int_equal(u16(block + 38), 4);
	assert_int_equal(u32(block + 40), 7);
	assert_int_equal(u16(block + 44), 1);
	assert_int_equal(u16(block + 46), 12);
	assert_memory_equal(block + 48, "pid=1 comm=a", 12);
	assert_int_equal(u32(block + 60), 0);
}

static void test_statistics(void **state)
{
	const uint64_t received = 99;
	const struct pcapng_time start = pcapng__time(T0);
	const struct pcapng_option option[] = { { PCAPNG_ISB_STARTTIME, sizeof(start), &start },
						{ PCAPNG_ISB_IFRECV, 8, &received } };
	size_t size = pcapng__statistics(block, sizeof(block), 1, T0,
					 (struct pcapng_options){ option, 2 });

	(void)state;
	assert_framed(size, 5);
	assert_int_equal(u32(block + 8), 1);
	assert_int_equal(u32(block + 12), T0 >> 32);
	assert_int_equal(u32(block + 16), T0 & UINT32_MAX);
	assert_int_equal(u16(block + 20), 2);
	assert_int_equal(u32(block + 24), T0 >> 32);
	assert_int_equal(u32(block + 28), T0 & UINT32_MAX);
	assert_int_equal(u16(block + 32), 4);
	assert_int_equal(u32(block + 36), 99);
}

/* A byte too little room: nothing is written, not even the start. */
static void test_no_room(void **state)
{
	const struct pcapng_packet p = { .caplen = 13, .length = 13, .data = "0123456789abc" };
	size_t size = pcapng__packet_size(&p), room;

	(void)state;
	for (room = 0; room < size; room++) {
		memset(block, 0xAA, size + 1);
		assert_int_equal(pcapng__packet(block, room, &p), 0);
		assert_int_equal(block[0], 0xAA);
	}
	assert_int_equal(pcapng__packet(block, size, &p), size);
	assert_int_equal(block[size], 0xAA);
}

/* A block longer than readers take is refused, not written. */
static void test_too_long(void **state)
{
	const struct pcapng_packet p = { .caplen = 17u << 20, .length = 17u << 20, .data = block };

	(void)state;
	assert_int_equal(pcapng__packet(block, SIZE_MAX, &p), 0);
}

static void write_block(FILE *f, size_t size)
{
	assert_true(size > 0);
	assert_int_equal(fwrite(block, 1, size, f), size);
}

/* Two interfaces; packets of every length from 0 to 300, each with all its bytes the length's low byte. */
static void write_file(FILE *f, struct pcapng_options options)
{
	const uint8_t nanoseconds = 9;
	const struct pcapng_option option[] = { pcapng__text(PCAPNG_IF_NAME, "eth0"),
						{ PCAPNG_IF_TSRESOL, 1, &nanoseconds },
						{ PCAPNG_IF_FILTER, 11, "\0tcp port 80" } };
	const struct pcapng_options interface = { option, 3 };
	uint8_t data[300];
	unsigned i;

	write_block(f, pcapng__section(block, sizeof(block), none));
	for (i = 0; i < 2; i++)
		write_block(f, pcapng__interface(block, sizeof(block), PCAPNG_LINK_ETHERNET, 65535,
						 interface));
	for (i = 0; i <= 300; i++) {
		const struct pcapng_packet p = { .interface = i % 2,
						 .time = T0 + i,
						 .caplen = i,
						 .length = i + 1000,
						 .data = data,
						 .options = options };

		memset(data, i, sizeof(data));
		write_block(f, pcapng__packet(block, sizeof(block), &p));
	}
	write_block(f, pcapng__statistics(block, sizeof(block), 0, T0, none));
	write_block(f, pcapng__statistics(block, sizeof(block), 1, T0, none));
	rewind(f);
}

static void read_file(FILE *f)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	pcap_t *in = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, why);
	struct pcap_pkthdr *h;
	const uint8_t *data;
	unsigned i, j;

	assert_string_equal(why, "");
	assert_int_equal(pcap_datalink(in), DLT_EN10MB);
	assert_int_equal(pcap_snapshot(in), 65535);
	for (i = 0; i <= 300; i++) {
		assert_int_equal(pcap_next_ex(in, &h, &data), 1);
		assert_int_equal(h->caplen, i);
		assert_int_equal(h->len, i + 1000);
		assert_int_equal(h->ts.tv_sec * 1000000000ull + h->ts.tv_usec, T0 + i);
		for (j = 0; j < i; j++)
			assert_int_equal(data[j], i & 0xFF);
	}
	assert_int_equal(pcap_next_ex(in, &h, &data), PCAP_ERROR_BREAK);
	pcap_close(in);
}

static void test_libpcap_reads_it(void **state)
{
	FILE *f = tmpfile();

	(void)state;
	write_file(f, none);
	read_file(f);
}

/* Options of every length, also one that nobody knows: a reader skips them. */
static void test_libpcap_skips_options(void **state)
{
	const uint32_t queue = 3;
	unsigned length;

	(void)state;
	for (length = 0; length < 9; length++) {
		const struct pcapng_option option[] = { { PCAPNG_COMMENT, length, "12345678" },
							{ 0x7FFF, length, "abcdefgh" },
							{ PCAPNG_EPB_QUEUE, 4, &queue } };
		FILE *f = tmpfile();

		write_file(f, (struct pcapng_options){ option, 3 });
		read_file(f);
	}
}

/* A text longer than an option can be is cut, and stays readable. */
static void test_long_text(void **state)
{
	char *text = malloc(100001);
	struct pcapng_option option;
	size_t size;

	(void)state;
	memset(text, 'x', 100000);
	text[100000] = 0;
	option = pcapng__text(PCAPNG_COMMENT, text);
	assert_int_equal(option.length, 65535);
	size = pcapng__section(block, sizeof(block), (struct pcapng_options){ &option, 1 });
	assert_framed(size, 0x0A0D0D0A);
	free(text);
}

static const struct pcapng_process nginx = { .pid = 0x04D2,
					     .parent = 1,
					     .uid = 33,
					     .start = 0x0102030405060708,
					     .name = "nginx",
					     .exe = "/usr/sbin/nginx",
					     .user = "www" };

static void test_process(void **state)
{
	/* The entry, as Wireshark's own files have it: little-endian throughout. */
	static const uint8_t entry[] = {
		3,   0,   0,   0,   80,  0,   0,   0,   0xD2, 4,  0, 0,   2,   0,   5,   0,   'n',
		'g', 'i', 'n', 'x', 0,   0,   0,   3,   0,    15, 0, '/', 'u', 's', 'r', '/', 's',
		'b', 'i', 'n', '/', 'n', 'g', 'i', 'n', 'x',  0,  5, 0,   4,   0,   1,   0,   0,
		0,   6,   0,   4,   0,   33,  0,   0,   0,    7,  0, 3,   0,   'w', 'w', 'w', 0,
		9,   0,   8,   0,   8,   7,   6,   5,   4,    3,  2, 1,   0,   0,   0,   0,
	};
	size_t size = pcapng__process(block, sizeof(block), &nginx);

	(void)state;
	assert_framed(size, 0xBAD);
	assert_int_equal(u32(block + 8), 32622);
	assert_int_equal(block[16], sizeof(entry) - 8);
	assert_memory_equal(block + 20, entry + 8, sizeof(entry) - 8);
	assert_int_equal(size, 12 + 4 + sizeof(entry));
	assert_false(pcapng__is_packet(block));
	assert_int_equal(pcapng__process(block, size - 1, &nginx), 0);
}

static void test_verdict(void **state)
{
	const struct pcapng_verdict v = pcapng__xdp_verdict(4);
	const uint64_t action = 4;

	(void)state;
	assert_int_equal(sizeof(v), 9);
	assert_int_equal(v.type, 2);
	assert_memory_equal(v.action, &action, 8);
}

/* ---- the reader ---- */

#define HEARD 64

static struct heard {
	unsigned packets, processes;
	struct pcapng_note note[HEARD];
	char comment[HEARD][64];
	struct pcapng_process process[HEARD];
	char name[HEARD][32];
} heard;

static void hear_packet(void *to, const struct pcapng_note *n)
{
	unsigned i = heard.packets++ % HEARD;

	(void)to;
	heard.note[i] = *n;
	heard.comment[i][0] = 0;
	if (n->comment)
		snprintf(heard.comment[i], 64, "%.*s", (int)n->comment_length, n->comment);
}

static void hear_process(void *to, const struct pcapng_process *p)
{
	unsigned i = heard.processes++ % HEARD;

	(void)to;
	heard.process[i] = *p;
	snprintf(heard.name[i], 32, "%s %s %s", p->name ? p->name : "-", p->exe ? p->exe : "-",
		 p->user ? p->user : "-");
}

/* In two pieces, or byte by byte. */
static void hear(const uint8_t *bytes, size_t size, size_t cut, bool one_by_one)
{
	struct pcapng_reader *r;
	size_t i;

	memset(&heard, 0, sizeof(heard));
	assert_int_equal(pcapng_reader__open(&r, &(struct pcapng_listener){ NULL, hear_packet,
									    hear_process }),
			 0);
	for (i = 0; one_by_one && i < size; i++)
		pcapng_reader__feed(r, bytes + i, 1);
	if (!one_by_one) {
		pcapng_reader__feed(r, bytes, cut);
		pcapng_reader__feed(r, bytes + cut, size - cut);
	}
	pcapng_reader__close(r);
}

static size_t make_owned(uint8_t *to, size_t room)
{
	const uint32_t ids[2] = { 0x04D2, 0 }, flags = PCAPNG_INBOUND, queue = 3;
	const struct pcapng_option option[] = {
		{ PCAPNG_EPB_QUEUE, 4, &queue },
		{ PCAPNG_EPB_FLAGS, 4, &flags },
		{ PCAPNG_EPB_PROCESS, 8, ids },
		pcapng__text(PCAPNG_COMMENT, "somebody else's"),
		pcapng__text(PCAPNG_COMMENT, "pid=1234 comm=nginx user=www how=exact"),
	};
	struct pcapng_packet p = {
		.caplen = 5, .length = 1500, .data = "abcde", .options = { option, 5 }
	};
	size_t size = pcapng__section(to, room, none);

	size += pcapng__interface(to + size, room - size, PCAPNG_LINK_ETHERNET, 0, none);
	size += pcapng__process(to + size, room - size, &nginx);
	size += pcapng__packet(to + size, room - size, &p);
	p.options = none;
	p.length = 77;
	return size + pcapng__packet(to + size, room - size, &p);
}

static void check_owned(void)
{
	assert_int_equal(heard.processes, 1);
	assert_int_equal(heard.process[0].pid, 0x04D2);
	assert_int_equal(heard.process[0].parent, 1);
	assert_int_equal(heard.process[0].uid, 33);
	assert_true(heard.process[0].start == 0x0102030405060708);
	assert_string_equal(heard.name[0], "nginx /usr/sbin/nginx www");
	assert_int_equal(heard.packets, 2);
	assert_int_equal(heard.note[0].length, 1500);
	assert_int_equal(heard.note[0].flags, PCAPNG_INBOUND);
	assert_int_equal(heard.note[0].pid, 0x04D2);
	assert_string_equal(heard.comment[0], "pid=1234 comm=nginx user=www how=exact");
	assert_int_equal(heard.note[1].length, 77);
	assert_int_equal(heard.note[1].pid, 0);
	assert_string_equal(heard.comment[1], "");
}

static void test_reader_finds_owners(void **state)
{
	size_t size = make_owned(block, sizeof(block)), cut;

	(void)state;
	for (cut = 0; cut <= size; cut++) {
		hear(block, size, cut, false);
		check_owned();
	}
	hear(block, size, 0, true);
	check_owned();
}

static void swap32(uint8_t *at)
{
	uint32_t v = __builtin_bswap32(u32(at));

	memcpy(at, &v, 4);
}

/* A section of the other byte order; a process entry stays little-endian. */
static void test_reader_swapped(void **state)
{
	static uint8_t file[4096];
	const uint32_t words[] = { 0x0A0D0D0A, 28, 0x1A2B3C4D, 0x00010000, UINT32_MAX, UINT32_MAX,
				   28,         6,  68,         0,          0,          0,
				   4,          99, 0x61626364, 0x00020004, 2,          0x00080008,
				   555,        0,  0x00010004, 0x7069643D, 0,          68 };
	size_t size = sizeof(words), i, process;

	(void)state;
	memcpy(file, words, size);
	for (i = 0; i < size; i += 4)
		swap32(file + i);
	process = pcapng__process(file + size, sizeof(file) - size, &nginx);
	swap32(file + size);
	swap32(file + size + 4);
	swap32(file + size + 8);
	swap32(file + size + process - 4);
	hear(file, size + process, 9, false);
	assert_int_equal(heard.packets, 1);
	assert_int_equal(heard.note[0].length, 99);
	assert_int_equal(heard.note[0].flags, PCAPNG_OUTBOUND);
	assert_int_equal(heard.note[0].pid, 555);
	assert_string_equal(heard.comment[0], "pid=");
	assert_int_equal(heard.processes, 1);
	assert_string_equal(heard.name[0], "nginx /usr/sbin/nginx www");
}

/* Silent on what is no pcapng, and any damage does no harm (that is for the sanitizers to see). */
static void test_reader_damage(void **state)
{
	static uint8_t damaged[4096];
	size_t size = make_owned(block, sizeof(block)), i;
	unsigned seed = 1, round;

	(void)state;
	hear((const uint8_t *)"\xd4\xc3\xb2\xa1 this is a classic pcap", 34, 3, false);
	assert_int_equal(heard.packets + heard.processes, 0);
	for (i = 0; i < size; i++) {
		hear(block, i, i / 2, false);
		assert_true(heard.packets <= 1);
	}
	for (round = 0; round < 20000; round++) {
		memcpy(damaged, block, size);
		for (i = 0; i <= round % 4; i++)
			damaged[rand_r(&seed) % size] = rand_r(&seed);
		hear(damaged, size, rand_r(&seed) % size, false);
		assert_true(heard.packets <= 2 && heard.processes <= 1);
	}
}

/* ---- comments ---- */

static void test_comment(void **state)
{
	struct process p = { .who = { .pid = 1234, .uid = 33, .comm = "a b=\\\x01\xff" },
			     .user = "www data",
			     .container = "0123456789ab" };
	char comment[OWNER_COMMENT_SIZE], text[OWNER_COMMENT_SIZE];
	enum owner_how how = OWNER_NONE;
	struct process q;
	size_t n = owner_comment__print(comment, sizeof(comment), &p, OWNER_BOUND);

	(void)state;
	assert_string_equal(comment,
			    "pid=1234 comm=a\\x20b=\\x5c\\x01\\xff user=www\\x20data how=bound "
			    "container=0123456789ab");
	assert_int_equal(n, strlen(comment));
	assert_int_equal(owner_comment__parse(comment, n, text, &q, &how), 0);
	assert_int_equal(how, OWNER_BOUND);
	assert_int_equal(q.who.pid, 1234);
	assert_memory_equal(q.who.comm, p.who.comm, sizeof(p.who.comm));
	assert_string_equal(q.user, "www data");
	assert_string_equal(q.container, "0123456789ab");
}

static void test_comment_of_the_kernel(void **state)
{
	struct process p = { .who.comm = KERNEL_COMM }, q;
	char comment[OWNER_COMMENT_SIZE], text[OWNER_COMMENT_SIZE];
	enum owner_how how;
	size_t n = owner_comment__print(comment, sizeof(comment), &p, OWNER_EXACT);

	(void)state;
	assert_int_equal(owner_comment__parse(comment, n, text, &q, &how), 0);
	assert_int_equal(q.who.pid, 0);
	assert_string_equal(q.who.comm, KERNEL_COMM);
}

static void test_comment_of_others(void **state)
{
	static const char *const foreign[] = { "",
					       "pid=",
					       "pid=0 how=exact",
					       "pid=12",
					       "pid=12 how=guess",
					       "pid=-1 how=exact",
					       "pid=99999999999 how=exact",
					       "pid=1x how=exact",
					       "pid=1 what how=exact",
					       "looks fine to me" };
	char text[OWNER_COMMENT_SIZE];
	enum owner_how how;
	struct process p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
		assert_int_not_equal(
			owner_comment__parse(foreign[i], strlen(foreign[i]), text, &p, &how), 0);
}

/* ---- several files ---- */

static const char *next_name(struct rotate *r, time_t now)
{
	static char name[64];

	assert_int_equal(rotate__next(r, now, name, sizeof(name)), 0);
	return name;
}

static void test_rotate_by_size(void **state)
{
	struct rotate r = { .path = "f", .bytes = 100 };

	(void)state;
	assert_string_equal(next_name(&r, 0), "f");
	assert_false(rotate__due(&r, 100, 5));
	assert_true(rotate__due(&r, 101, 5));
	assert_string_equal(next_name(&r, 0), "f1");
	assert_string_equal(next_name(&r, 0), "f2");
	assert_false(rotate__is_over(&r));
	r = (struct rotate){ .path = "f", .bytes = 100, .files = 11 };
	assert_string_equal(next_name(&r, 0), "f00");
	for (unsigned i = 1; i < 11; i++)
		next_name(&r, 0);
	assert_string_equal(next_name(&r, 0), "f00");
	r = (struct rotate){ .path = "f", .bytes = 100, .files = 1 };
	assert_string_equal(next_name(&r, 0), "f");
	assert_string_equal(next_name(&r, 0), "f");
}

static void test_rotate_by_time(void **state)
{
	struct rotate r = { .path = "f-%s", .seconds = 10, .files = 2 };
	struct rotate both = { .path = "f-%s", .seconds = 10, .bytes = 100 };
	char small[3];

	(void)state;
	assert_string_equal(next_name(&r, 1000), "f-1000");
	assert_false(rotate__due(&r, 1u << 30, 1009));
	assert_true(rotate__due(&r, 0, 1010));
	assert_false(rotate__is_over(&r));
	assert_string_equal(next_name(&r, 1012), "f-1012");
	assert_true(rotate__is_over(&r));
	assert_string_equal(next_name(&both, 1000), "f-1000");
	assert_string_equal(next_name(&both, 1004), "f-10001");
	assert_string_equal(next_name(&both, 1011), "f-1011");
	assert_int_equal(rotate__next(&both, 1011, small, sizeof(small)), -ENAMETOOLONG);
	assert_int_equal(both.number, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_packet_encoded),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_libpcap_reads_it),
		cmocka_unit_test(test_libpcap_skips_options),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_reader_finds_owners),
		cmocka_unit_test(test_reader_swapped),
		cmocka_unit_test(test_reader_damage),
		cmocka_unit_test(test_comment),
		cmocka_unit_test(test_comment_of_the_kernel),
		cmocka_unit_test(test_comment_of_others),
		cmocka_unit_test(test_rotate_by_size),
		cmocka_unit_test(test_rotate_by_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
