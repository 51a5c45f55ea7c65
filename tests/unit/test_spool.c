// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The spool: every block that was committed is in the file or counted, whatever happens to the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "tools/capture/pcapng.h"
#include "tools/capture/spool.h"

#define LANES 3
#define LANE_BYTES (16u << 20) /* what a lane of three has */

static char path[] = "/tmp/wirewho-spool.XXXXXX";
static struct spool *spool;

static int make_file(void **state)
{
	(void)state;
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	close(mkstemp(path));
	return 0;
}

static int remove_file(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* Packet `number` of a lane, of a length that its number gives. False when the lane had no room. */
static bool put_packet(unsigned lane, uint64_t number)
{
	uint8_t data[2000];
	const struct pcapng_packet p = { .interface = lane,
					 .time = number,
					 .caplen = number * 13 % 2000,
					 .length = 2000,
					 .data = data };
	size_t size = pcapng__packet_size(&p);
	void *room = spool__reserve(spool, lane, size);

	if (!room)
		return false;
	memset(data, number, sizeof(data));
	assert_int_equal(pcapng__packet(room, size, &p), size);
	spool__commit(spool, lane, size);
	return true;
}

struct producer {
	unsigned lane;
	uint64_t packets;
	uint64_t refused;
};

/* As a packet thread does: batches, and what finds no room is counted. */
static void *produce(void *to)
{
	struct producer *p = to;
	uint64_t i;

	for (i = 0; i < p->packets; i++) {
		if (!put_packet(p->lane, i))
			p->refused++;
		if (i % 64 == 63)
			spool__publish(spool, p->lane);
	}
	spool__publish(spool, p->lane);
	return NULL;
}

/* Walks the file: whole blocks only, each lane's numbers rising, every byte right. Returns the packets. */
static uint64_t check_file(const char *name)
{
	uint64_t n = 0, next[LANES] = {}, number;
	uint32_t head[7], i;
	uint8_t rest[4096];
	FILE *f = fopen(name, "rb");

	assert_non_null(f);
	while (fread(head, sizeof(head), 1, f) == 1) {
		assert_int_equal(head[0], 6);
		assert_true(head[1] >= 32 && head[1] < 2100);
		assert_int_equal(fread(rest, 1, head[1] - 28, f), head[1] - 28);
		assert_true(head[2] < LANES);
		number = (uint64_t)head[3] << 32 | head[4];
		assert_true(number >= next[head[2]]);
		next[head[2]] = number + 1;
		assert_int_equal(head[5], number * 13 % 2000);
		for (i = 0; i < head[5]; i++)
			assert_int_equal(rest[i], number & 0xFF);
		n++;
	}
	assert_true(feof(f));
	fclose(f);
	return n;
}

static uint64_t run_producers(struct producer *p, uint64_t packets)
{
	uint64_t refused = 0;
	pthread_t thread[LANES];
	unsigned i;

	for (i = 0; i < LANES; i++) {
		p[i] = (struct producer){ .lane = i, .packets = packets };
		assert_int_equal(pthread_create(&thread[i], NULL, produce, &p[i]), 0);
	}
	for (i = 0; i < LANES; i++) {
		pthread_join(thread[i], NULL);
		refused += p[i].refused;
	}
	return refused;
}

/* Several times around each lane. */
static void test_everything_arrives_or_is_counted(void **state)
{
	struct producer p[LANES];
	uint64_t refused, packets = 100000;

	(void)state;
	assert_int_equal(spool__open(&spool, path, LANES), 0);
	assert_int_equal(spool__start(spool), 0);
	refused = run_producers(p, packets);
	assert_int_equal(spool__finish(spool, NULL, 0), 0);
	assert_int_equal(spool__unwritten(spool), 0);
	assert_int_equal(spool__written(spool) + refused, LANES * packets);
	assert_int_equal(spool__close(spool), 0);
	assert_int_equal(check_file(path), LANES * packets - refused);
	assert_true(packets * 1000 > 2 * LANE_BYTES);
}

/* Without anybody who reads: the lane fills to its last byte, refuses, and loses nothing of what it took. */
static void test_full_lane_refuses(void **state)
{
	uint64_t taken = 0;

	(void)state;
	assert_int_equal(spool__open(&spool, path, LANES), 0);
	while (put_packet(1, taken))
		taken++;
	assert_true(taken > LANE_BYTES / 2100 && taken < LANE_BYTES / 900);
	assert_false(put_packet(1, taken));
	assert_true(put_packet(0, 0));
	assert_int_equal(spool__start(spool), 0);
	assert_int_equal(spool__finish(spool, NULL, 0), 0);
	assert_int_equal(spool__written(spool), taken + 1);
	assert_int_equal(spool__close(spool), 0);
	assert_int_equal(check_file(path), taken + 1);
}

static void test_first_and_last(void **state)
{
	char text[32] = "";
	FILE *f;

	(void)state;
	assert_int_equal(spool__open(&spool, path, 1), 0);
	assert_int_equal(spool__write(spool, "first", 5), 0);
	assert_int_equal(spool__start(spool), 0);
	assert_int_equal(spool__finish(spool, "last", 4), 0);
	assert_int_equal(spool__written(spool), 0);
	assert_int_equal(spool__close(spool), 0);
	f = fopen(path, "r");
	assert_non_null(fgets(text, sizeof(text), f));
	assert_string_equal(text, "firstlast");
	fclose(f);
}

/* A disk that is full after 1000001 bytes: the file ends with a whole block, everything else is counted. */
static void test_full_disk(void **state)
{
	const struct rlimit small = { 1000001, RLIM_INFINITY },
			    large = { RLIM_INFINITY, RLIM_INFINITY };
	uint64_t i, taken = 0;
	struct stat st;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(spool__open(&spool, path, LANES), 0);
	for (i = 0; i < 3000; i++)
		taken += put_packet(2, i);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(spool__start(spool), 0);
	assert_int_equal(spool__finish(spool, "last", 4), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &large), 0);
	assert_true(spool__failed(spool));
	assert_true(spool__written(spool) > 0);
	assert_int_equal(spool__written(spool) + spool__unwritten(spool), taken);
	assert_int_equal(check_file(path), spool__written(spool));
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= 1000001 && st.st_size > 1000001 - 2100);
	assert_false(put_packet(0, 1));
	assert_int_equal(spool__close(spool), 0);
}

/* Runs fn with a pipe as standard output; nobody has read anything from `reader`. */
static void with_pipe(void (*fn)(int reader))
{
	int saved = dup(STDOUT_FILENO), ends[2];

	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	fn(ends[0]);
	dup2(saved, STDOUT_FILENO);
	close(saved);
}

static void reader_goes(int reader)
{
	struct pollfd p = { .events = POLLIN };
	uint64_t i, taken = 0;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(spool__open(&spool, "-", LANES), 0);
	close(reader);
	assert_int_equal(spool__start(spool), 0);
	for (i = 0; i < 100; i++)
		taken += put_packet(0, i);
	spool__publish(spool, 0);
	p.fd = spool__event_fd(spool);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(spool__failed(spool));
	assert_int_equal(spool__finish(spool, "last", 4), -EPIPE);
	assert_int_equal(spool__written(spool), 0);
	assert_int_equal(spool__unwritten(spool), taken);
	spool__close(spool);
}

static void test_reader_gone(void **state)
{
	(void)state;
	with_pipe(reader_goes);
}

static void reader_sleeps(int reader)
{
	uint64_t i, taken = 0;

	assert_int_equal(spool__open(&spool, "-", LANES), 0);
	assert_int_equal(spool__start(spool), 0);
	for (i = 0; i < 1000; i++)
		taken += put_packet(0, i);
	alarm(20);
	assert_int_equal(spool__finish(spool, "last", 4), -ETIMEDOUT);
	alarm(0);
	assert_true(spool__written(spool) > 0);
	assert_int_equal(spool__written(spool) + spool__unwritten(spool), taken);
	spool__close(spool);
	close(reader);
}

/* The end must come, even if the reader of the pipe never reads on. */
static void test_reader_asleep(void **state)
{
	(void)state;
	with_pipe(reader_sleeps);
}

static void test_cannot_open(void **state)
{
	struct spool *none = NULL;

	(void)state;
	assert_int_equal(spool__open(&none, "/nowhere/at/all", 1), -ENOENT);
	assert_int_equal(spool__open(&none, "/tmp", 1), -EISDIR);
	assert_null(none);
	assert_int_equal(spool__close(NULL), 0);
}

/* Many lanes share one budget. */
static void test_many_lanes(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(spool__open(&spool, path, 128), 0);
	for (i = 0; i < 128; i++)
		assert_non_null(spool__reserve(spool, i, 300 << 10));
	assert_null(spool__reserve(spool, 0, (1 << 20) + 1));
	assert_int_equal(spool__close(spool), 0);
}

#define FILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_file, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(test_everything_arrives_or_is_counted),
		FILE_TEST(test_full_lane_refuses),
		FILE_TEST(test_first_and_last),
		FILE_TEST(test_full_disk),
		cmocka_unit_test(test_reader_gone),
		cmocka_unit_test(test_reader_asleep),
		cmocka_unit_test(test_cannot_open),
		FILE_TEST(test_many_lanes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
