// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "pcapng.h"
#include "xdp/say.h"

#define LANES_BUDGET (64u << 20) /* bytes, all lanes together */
#define LANE_MOST (16u << 20)
#define LANE_LEAST (1u << 20)
#define WRITE_MOST (1u << 20) /* bytes a write: so often we see whether there is progress */
#define OUT_BYTES (2 * SPOOL_BLOCK_MOST + WRITE_MOST)
#define RUN_LEAST (64u << 10) /* bytes: to copy less costs less than a write of its own */
#define NAP_MS 50             /* how long a block may lie in a lane that is nearly empty */
#define PATIENCE_MS 5000
#define NUDGE SIGURG /* breaks a write that hangs; ignored where nobody asked for it */

struct lane {
	/* the producer's line */
	_Alignas(64) uint64_t filled; /* committed; published with the batch */
	uint64_t seen_tail;
	/* between them */
	_Alignas(64) uint64_t head;
	_Alignas(64) uint64_t tail;
	uint8_t *bytes; /* mapped twice */
	/* the writer's line: what has lain long enough ends at `ripe` */
	uint64_t ripe, ripening, ripening_since;
};

struct spool {
	char path[PATH_MAX];
	int fd, wake, event;
	bool regular, started, woken, stop, abandon;
	int err;
	uint64_t progress; /* bytes written: the writer's pulse */
	uint64_t written, unwritten, past;
	struct spool_editor editor;
	struct rotate rotate; /* of zeros: one file */
	unsigned long long files;
	uint64_t file_bytes; /* written to the present file */
	bool over;           /* that was the last file */
	/* Taken, not yet written: blocks that stay as they are, still in their lane, or else what is in `out`. */
	const uint8_t *run;
	size_t run_size;
	uint64_t run_packets;
	uint8_t *out;
	size_t out_size;
	uint64_t out_packets;
	const void *last; /* what stands at the end of the file */
	size_t last_size;
	size_t room;
	unsigned lanes;
	struct lane *lane;
	pthread_t writer;
};

/* ---- lanes ---- */

static size_t room_for(unsigned lanes)
{
	size_t room = LANE_MOST;

	while (room > LANE_LEAST && room * lanes > LANES_BUDGET)
		room /= 2;
	return room;
}

static int lane__map(struct lane *l, size_t room)
{
	int fd = memfd_create("wirewho lane", MFD_CLOEXEC), err = 0;
	uint8_t *at;

	if (fd < 0)
		return -errno;
	at = ftruncate(fd, room)
		     ? MAP_FAILED
		     : mmap(NULL, 2 * room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		err = -errno;
		goto close;
	}
	if (mmap(at, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    mmap(at + room, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    MAP_FAILED) {
		err = -errno;
		munmap(at, 2 * room);
		goto close;
	}
	l->bytes = at;
close:
	close(fd);
	return err;
}

static int map_lanes(struct spool *s)
{
	unsigned i;
	int err = 0;

	s->lane = aligned_alloc(64, s->lanes * sizeof(*s->lane));
	if (!s->lane)
		return -ENOMEM;
	memset(s->lane, 0, s->lanes * sizeof(*s->lane));
	for (i = 0; i < s->lanes && !err; i++)
		err = lane__map(&s->lane[i], s->room);
	return err;
}

static uint8_t *lane__at(const struct spool *s, const struct lane *l, uint64_t position)
{
	return l->bytes + (position & (s->room - 1));
}

void *spool__reserve(struct spool *s, unsigned lane, size_t size)
{
	struct lane *l = &s->lane[lane];

	if (size > SPOOL_BLOCK_MOST)
		return NULL;
	if (l->filled + size - l->seen_tail > s->room)
		l->seen_tail = __atomic_load_n(&l->tail, __ATOMIC_ACQUIRE);
	if (l->filled + size - l->seen_tail > s->room || spool__failed(s))
		return NULL;
	return lane__at(s, l, l->filled);
}

void spool__commit(struct spool *s, unsigned lane, size_t size)
{
	s->lane[lane].filled += size;
}

static void wake(struct spool *s)
{
	if (!__atomic_exchange_n(&s->woken, true, __ATOMIC_ACQ_REL))
		eventfd_write(s->wake, 1);
}

void spool__publish(struct spool *s, unsigned lane)
{
	size_t much = s->editor.hold_ms ? s->room / 2 : s->room / 8;
	struct lane *l = &s->lane[lane];

	__atomic_store_n(&l->head, l->filled, __ATOMIC_RELEASE);
	if (l->filled - l->seen_tail <= much)
		return;
	l->seen_tail = __atomic_load_n(&l->tail, __ATOMIC_ACQUIRE);
	if (l->filled - l->seen_tail > much)
		wake(s);
}

/* ---- the writer ---- */

struct blocks {
	size_t bytes; /* of whole blocks */
	uint64_t packets;
};

/* What the first `size` bytes hold. */
static struct blocks count_blocks(const uint8_t *at, size_t size)
{
	struct blocks b = {};
	uint32_t next;

	while (size - b.bytes >= 8) {
		next = pcapng__block_size(at + b.bytes);
		if (next > size - b.bytes)
			break;
		b.packets += pcapng__is_packet(at + b.bytes);
		b.bytes += next;
	}
	return b;
}

static void say_failure(const struct spool *s, int err)
{
	const char *hint = NULL;

	if (s->regular)
		hint = "the capture ends here; what was written before can be read";
	else if (err == -EPIPE)
		hint = "whoever was reading has gone";
	else if (err == -ETIMEDOUT)
		hint = "whoever is reading takes nothing any more";
	fail(err, hint, "write the capture to %s", s->path);
}

/* A reader of the file shall find no half block at its end. */
static void cut_back(const struct spool *s, size_t excess)
{
	off_t at = lseek(s->fd, 0, SEEK_CUR);

	if (s->regular && excess && at >= (off_t)excess && ftruncate(s->fd, at - excess))
		say(SAY_NOTE, "%s ends with half a packet", s->path);
}

static int wait_writable(const struct spool *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	return poll(&p, 1, NAP_MS) < 0 && errno != EINTR ? -errno : 0;
}

/* How many bytes went out; *err says why not all. */
static size_t write_all(struct spool *s, const uint8_t *at, size_t size, int *err)
{
	size_t done = 0;

	*err = 0;
	while (done < size && !*err) {
		size_t part = size - done < WRITE_MOST ? size - done : WRITE_MOST;
		ssize_t n = write(s->fd, at + done, part);

		if (n > 0) {
			done += n;
			__atomic_fetch_add(&s->progress, n, __ATOMIC_RELAXED);
		} else if (__atomic_load_n(&s->abandon, __ATOMIC_ACQUIRE)) {
			*err = -ETIMEDOUT;
		} else if (n < 0 && errno == EAGAIN) {
			*err = wait_writable(s);
		} else if (n < 0 && errno != EINTR) {
			*err = -errno;
		}
	}
	return done;
}

static void set_failed(struct spool *s, int err)
{
	say_failure(s, err);
	__atomic_store_n(&s->err, err, __ATOMIC_RELEASE);
	eventfd_write(s->event, 1);
}

/* What does not go out any more is counted. */
static void put_out(struct spool *s, const uint8_t *at, size_t size, uint64_t packets)
{
	struct blocks went = { .bytes = size, .packets = packets };
	size_t done;
	int err = s->err;

	done = err ? 0 : write_all(s, at, size, &err);
	if (done < size)
		went = count_blocks(at, done);
	s->written += went.packets;
	s->unwritten += packets - went.packets;
	s->file_bytes += done;
	if (err && !s->err) {
		cut_back(s, done - went.bytes);
		set_failed(s, err);
	}
}

static void flush_run(struct spool *s)
{
	if (s->run_size)
		put_out(s, s->run, s->run_size, s->run_packets);
	s->run_size = s->run_packets = 0;
}

/* There is never both: a run begins when nothing is in `out`. */
static void flush(struct spool *s)
{
	flush_run(s);
	if (s->out_size)
		put_out(s, s->out, s->out_size, s->out_packets);
	s->out_size = s->out_packets = 0;
}

/* The run cannot go on. */
static void end_run(struct spool *s)
{
	if (s->run_size >= RUN_LEAST)
		flush_run(s);
	if (!s->run_size)
		return;
	memcpy(s->out, s->run, s->run_size);
	s->out_size += s->run_size;
	s->out_packets += s->run_packets;
	s->run_size = s->run_packets = 0;
}

static int open_file(struct spool *s, const char *path);

static int close_file(struct spool *s)
{
	int err = s->fd >= 0 && close(s->fd) ? -errno : 0;

	s->fd = -1;
	/* A file on the network may tell only now that it has no room. */
	return err ? fail(err, NULL, "close %s", s->path) : 0;
}

static size_t out_room(const struct spool *s)
{
	return OUT_BYTES - s->out_size;
}

/* Ends the present file and begins the next. */
static void turn(struct spool *s)
{
	char name[PATH_MAX];
	int err;

	if (rotate__is_over(&s->rotate)) {
		s->over = true;
		eventfd_write(s->event, 1);
		return;
	}
	flush(s);
	s->out_size = s->editor.foot(s->editor.to, s->out, out_room(s));
	flush(s);
	if (s->err)
		return;
	err = close_file(s);
	if (!err)
		err = rotate__next(&s->rotate, time(NULL), name, sizeof(name));
	if (!err)
		err = open_file(s, name);
	if (err) {
		set_failed(s, err);
		return;
	}
	s->out_size = s->editor.head(s->editor.to, s->out, out_room(s));
}

static bool is_due(const struct spool *s)
{
	return s->rotate.path && !s->over &&
	       rotate__due(&s->rotate, s->file_bytes + s->run_size + s->out_size, time(NULL));
}

static void keep(struct spool *s, const uint8_t *block, size_t size)
{
	bool is_packet = pcapng__is_packet(block);

	if (s->run_size && s->run + s->run_size != block)
		end_run(s);
	if (s->out_size) {
		memcpy(s->out + s->out_size, block, size);
		s->out_size += size;
		s->out_packets += is_packet;
		return;
	}
	if (!s->run_size)
		s->run = block;
	s->run_size += size;
	s->run_packets += is_packet;
}

/* The editor writes behind the run, as that goes to `out` before it if it is short. */
static void edit(struct spool *s, const uint8_t *block, size_t size)
{
	size_t at = s->out_size + (s->run_size < RUN_LEAST ? s->run_size : 0);
	size_t edited = s->editor.edit(s->editor.to, block, s->out + at, OUT_BYTES - at);

	if (edited == SPOOL_AS_IT_IS) {
		keep(s, block, size);
	} else if (edited) {
		end_run(s);
		s->out_size += edited;
		s->out_packets++; /* what goes with a packet is not left alone */
	}
}

/* A small lane cannot wait for a large write. */
static size_t run_most(const struct spool *s)
{
	return s->room / 4 < WRITE_MOST ? s->room / 4 : WRITE_MOST;
}

static size_t take_block(struct spool *s, const uint8_t *block)
{
	size_t size = pcapng__block_size(block);

	if (s->run_size >= run_most(s) || s->out_size >= WRITE_MOST)
		flush(s);
	if (!s->err && is_due(s))
		turn(s);
	if (s->err)
		return 0;
	if (s->over)
		s->past += pcapng__is_packet(block);
	else if (s->editor.edit)
		edit(s, block, size);
	else
		keep(s, block, size);
	return size;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* How far a lane may be emptied: what is published, or the part of it that has lain long enough. */
static uint64_t lane__ripe(struct spool *s, struct lane *l)
{
	uint64_t head = __atomic_load_n(&l->head, __ATOMIC_ACQUIRE), now;

	if (!s->editor.hold_ms || __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
		return head;
	now = now_ms();
	if (now - l->ripening_since >= s->editor.hold_ms || head - l->tail > s->room / 2) {
		l->ripe = l->ripening;
		l->ripening = head;
		l->ripening_since = now;
	}
	return l->ripe;
}

/* True when it moved anything. What is still in a run must stay in the lane. */
static bool lane__drain(struct spool *s, struct lane *l)
{
	uint64_t head = lane__ripe(s, l), tail = l->tail;

	if (tail == head)
		return false;
	while (tail != head && !s->err) {
		tail += take_block(s, lane__at(s, l, tail));
		if (tail - s->run_size != l->tail)
			__atomic_store_n(&l->tail, tail - s->run_size, __ATOMIC_RELEASE);
	}
	end_run(s);
	__atomic_store_n(&l->tail, tail, __ATOMIC_RELEASE);
	return true;
}

int spool__write(struct spool *s, const void *block, size_t size)
{
	size_t done;
	int err;

	if (s->err)
		return s->err;
	done = write_all(s, block, size, &err);
	s->file_bytes += done;
	if (err) {
		cut_back(s, done);
		set_failed(s, err);
	}
	return err;
}

static bool drain(struct spool *s)
{
	bool moved = false;
	unsigned i;

	if (s->editor.ready)
		s->editor.ready(s->editor.to);
	for (i = 0; i < s->lanes && !s->err; i++)
		moved |= lane__drain(s, &s->lane[i]);
	flush(s);
	return moved;
}

static void nap(struct spool *s)
{
	struct pollfd p[] = { { .fd = s->wake, .events = POLLIN },
			      { .fd = s->editor.fd, .events = POLLIN } };
	eventfd_t n;

	if (poll(p, 2, NAP_MS) > 0 && p[0].revents)
		eventfd_read(s->wake, &n);
	__atomic_store_n(&s->woken, false, __ATOMIC_RELEASE);
}

static void *writer(void *to)
{
	struct spool *s = to;
	bool stop, moved;

	do {
		nap(s);
		stop = __atomic_load_n(&s->stop, __ATOMIC_ACQUIRE);
		moved = drain(s);
	} while (!s->err && !(stop && !moved));
	if (!s->err)
		spool__write(s, s->last, s->last_size);
	return NULL;
}

/* ---- open, start, finish, close ---- */

static int open_file(struct spool *s, const char *path)
{
	bool is_stdout = !strcmp(path, "-");
	struct stat st;

	snprintf(s->path, sizeof(s->path), "%s", is_stdout ? "standard output" : path);
	s->fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
			  : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (s->fd < 0)
		return fail(-errno, "name a file that can be written, or - for standard output",
			    "open %s for the capture", s->path);
	s->regular = !fstat(s->fd, &st) && S_ISREG(st.st_mode);
	s->file_bytes = 0;
	s->files++;
	return 0;
}

int spool__open(struct spool **out, const char *path, unsigned lanes)
{
	struct spool *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fail(-ENOMEM, NULL, "open %s for the capture", path);
	s->fd = s->editor.fd = -1;
	s->lanes = lanes;
	s->room = room_for(lanes);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->out = malloc(OUT_BYTES);
	err = s->wake < 0 || s->event < 0 ? -errno : s->out ? map_lanes(s) : -ENOMEM;
	if (err)
		fail(err, NULL, "make the queue of the capture file");
	else
		err = open_file(s, path);
	if (err) {
		spool__close(s);
		return err;
	}
	*out = s;
	return 0;
}

void spool__edit(struct spool *s, const struct spool_editor *editor)
{
	s->editor = *editor;
}

void spool__rotate(struct spool *s, const struct rotate *r)
{
	s->rotate = *r;
}

static void on_nudge(int number)
{
	(void)number;
}

int spool__start(struct spool *s)
{
	/* Without SA_RESTART: a write that hangs shall come back. */
	struct sigaction act = { .sa_handler = on_nudge };
	int err;

	sigaction(NUDGE, &act, NULL);
	err = pthread_create(&s->writer, NULL, writer, s);
	if (err)
		return fail(-err, NULL, "start the thread that writes %s", s->path);
	pthread_setname_np(s->writer, "wirewho-write");
	s->started = true;
	return 0;
}

static struct timespec after(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000 + (t.tv_nsec + ms % 1000 * 1000000l) / 1000000000;
	t.tv_nsec = (t.tv_nsec + ms % 1000 * 1000000l) % 1000000000;
	return t;
}

/* Joins the writer; a writer without progress is told to give up, again and again until it hears. */
static void join_writer(struct spool *s)
{
	uint64_t pulse = 0, last = UINT64_MAX;
	unsigned waited = 0;
	struct timespec t = after(NAP_MS);

	while (pthread_timedjoin_np(s->writer, NULL, &t) == ETIMEDOUT) {
		pulse = __atomic_load_n(&s->progress, __ATOMIC_RELAXED);
		waited = pulse == last ? waited + NAP_MS : 0;
		last = pulse;
		if (waited >= PATIENCE_MS) {
			__atomic_store_n(&s->abandon, true, __ATOMIC_RELEASE);
			pthread_kill(s->writer, NUDGE);
		}
		t = after(NAP_MS);
	}
}

static uint64_t count_left(const struct spool *s)
{
	uint64_t left = 0;
	unsigned i;

	for (i = 0; i < s->lanes; i++) {
		const struct lane *l = &s->lane[i];

		left += count_blocks(lane__at(s, l, l->tail), l->filled - l->tail).packets;
	}
	return left;
}

int spool__finish(struct spool *s, const void *last, size_t size)
{
	unsigned i;

	if (!s->started)
		return s->err;
	s->last = last;
	s->last_size = size;
	for (i = 0; i < s->lanes; i++)
		spool__publish(s, i);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	wake(s);
	join_writer(s);
	s->started = false;
	s->unwritten += count_left(s);
	return s->err;
}

int spool__close(struct spool *s)
{
	unsigned i;
	int err;

	if (!s)
		return 0;
	for (i = 0; s->lane && i < s->lanes; i++)
		if (s->lane[i].bytes)
			munmap(s->lane[i].bytes, 2 * s->room);
	free(s->lane);
	free(s->out);
	err = close_file(s);
	if (s->wake >= 0)
		close(s->wake);
	if (s->event >= 0)
		close(s->event);
	free(s);
	return err;
}

int spool__event_fd(const struct spool *s)
{
	return s->event;
}

bool spool__failed(const struct spool *s)
{
	return __atomic_load_n(&s->err, __ATOMIC_ACQUIRE) != 0;
}

uint64_t spool__written(const struct spool *s)
{
	return s->written;
}

uint64_t spool__unwritten(const struct spool *s)
{
	return s->unwritten;
}

uint64_t spool__past(const struct spool *s)
{
	return s->past;
}

unsigned long long spool__files(const struct spool *s)
{
	return s->files;
}
