// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
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
};

struct spool {
	const char *path;
	int fd, wake, event;
	bool regular, started, woken, stop, abandon;
	int err;
	uint64_t progress; /* bytes written: the writer's pulse */
	uint64_t written, unwritten;
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
	struct lane *l = &s->lane[lane];

	__atomic_store_n(&l->head, l->filled, __ATOMIC_RELEASE);
	if (l->filled - l->seen_tail <= s->room / 8)
		return;
	l->seen_tail = __atomic_load_n(&l->tail, __ATOMIC_ACQUIRE);
	if (l->filled - l->seen_tail > s->room / 8)
		wake(s);
}

/* ---- the writer ---- */

/* Bytes of the whole blocks among the first `size` bytes, and how many they are. */
static size_t whole_blocks(const uint8_t *at, size_t size, uint64_t *blocks)
{
	size_t whole = 0;
	uint32_t next;

	*blocks = 0;
	while (size - whole >= 8) {
		next = pcapng__block_size(at + whole);
		if (next > size - whole)
			break;
		whole += next;
		*blocks += 1;
	}
	return whole;
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

/* True when it moved anything. */
static bool lane__drain(struct spool *s, struct lane *l)
{
	uint64_t head = __atomic_load_n(&l->head, __ATOMIC_ACQUIRE), blocks;
	size_t size = head - l->tail, done, whole;
	const uint8_t *at = lane__at(s, l, l->tail);
	int err;

	if (!size)
		return false;
	done = write_all(s, at, size, &err);
	whole = whole_blocks(at, done, &blocks);
	s->written += blocks;
	__atomic_store_n(&l->tail, l->tail + whole, __ATOMIC_RELEASE);
	if (err) {
		cut_back(s, done - whole);
		set_failed(s, err);
	}
	return true;
}

int spool__write(struct spool *s, const void *block, size_t size)
{
	size_t done;
	int err;

	if (s->err)
		return s->err;
	done = write_all(s, block, size, &err);
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

	for (i = 0; i < s->lanes && !s->err; i++)
		moved |= lane__drain(s, &s->lane[i]);
	return moved;
}

static void nap(struct spool *s)
{
	struct pollfd p = { .fd = s->wake, .events = POLLIN };
	eventfd_t n;

	if (poll(&p, 1, NAP_MS) > 0)
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
	struct stat st;

	s->path = strcmp(path, "-") ? path : "standard output";
	s->fd = strcmp(path, "-") ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
				  : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (s->fd < 0)
		return fail(-errno, "name a file that can be written, or - for standard output",
			    "open %s for the capture", s->path);
	s->regular = !fstat(s->fd, &st) && S_ISREG(st.st_mode);
	return 0;
}

int spool__open(struct spool **out, const char *path, unsigned lanes)
{
	struct spool *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fail(-ENOMEM, NULL, "open %s for the capture", path);
	s->fd = -1;
	s->lanes = lanes;
	s->room = room_for(lanes);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->wake < 0 || s->event < 0 ? -errno : map_lanes(s);
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
	uint64_t left = 0, blocks;
	unsigned i;

	for (i = 0; i < s->lanes; i++) {
		const struct lane *l = &s->lane[i];

		whole_blocks(lane__at(s, l, l->tail), l->filled - l->tail, &blocks);
		left += blocks;
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
	s->unwritten = count_left(s);
	return s->err;
}

int spool__close(struct spool *s)
{
	int err = 0;
	unsigned i;

	if (!s)
		return 0;
	for (i = 0; s->lane && i < s->lanes; i++)
		if (s->lane[i].bytes)
			munmap(s->lane[i].bytes, 2 * s->room);
	free(s->lane);
	/* A file on the network may tell only now that it has no room. */
	if (s->fd >= 0 && close(s->fd))
		err = fail(-errno, NULL, "close %s", s->path);
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
