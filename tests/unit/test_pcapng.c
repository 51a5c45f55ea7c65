// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* pcapng blocks: byte for byte, and as libpcap reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <pcap/pcap.h>
#include "tools/pcapng.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_statistics),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_libpcap_reads_it),
		cmocka_unit_test(test_libpcap_skips_options),
		cmocka_unit_test(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
