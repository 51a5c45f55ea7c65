// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "smalls.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "attrib/hash.h"
#include "attrib/index.h"
#include "attrib/pool.h"
#include "xdp/link.h"
#include "xdp/say.h"

#define MS 1000000ull
#define MOST 65536
#define NETNS_MAX 64
#define PATH_ROOM 160
#define SETTLED \
	(10 * MS) /* an event may come a little before its socket stands in the kernel's list */

struct small {
	uint32_t pool; /* the pool's while it is free */
	__u8 state;
	bool used;
	__u64 since;
	__u64 missing; /* when it was not found; a second time, and it is gone */
	__u64 seen;    /* number of the look */
	struct trace_tcp_event last;
};

/* A namespace in which some are looked after, and what may lead there. */
struct place {
	__u64 cookie;
	__u32 pid;
	unsigned n;
	char path[PATH_ROOM];
};

struct smalls {
	int iter, own; /* program; our own namespace */
	__u64 own_cookie;
	small_fn fn;
	void *arg;
	struct hash_seed seed;
	struct pool pool;
	struct index index;
	struct place place[NETNS_MAX];
	unsigned awaited; /* in FIN_WAIT2 */
	__u64 next, looks, missed;
};

int smalls__open(struct smalls **out, int iter, small_fn fn, void *arg)
{
	struct smalls *s = calloc(1, sizeof(*s));

	if (!s)
		return fail(-ENOMEM, NULL, "make room for connections without socket");
	s->iter = iter;
	s->fn = fn;
	s->arg = arg;
	s->own_cookie = link__netns();
	s->own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	pool__init(&s->pool, (sizeof(struct small) + 7) / 8 * 8, 8);
	if (s->own < 0 || getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed)) {
		smalls__close(s);
		return fail(-errno, NULL, "open our own network namespace");
	}
	*out = s;
	return 0;
}

void smalls__close(struct smalls *s)
{
	if (!s)
		return;
	if (s->own >= 0)
		close(s->own);
	index__free(&s->index);
	pool__free(&s->pool);
	free(s);
}

__u64 smalls__missed(const struct smalls *s)
{
	return s->missed;
}

/* ---- by key ---- */

static struct small *find(struct smalls *s, const struct flow_key *key, __u64 netns,
			  uint32_t *handle)
{
	struct index_walk w = index__walk(&s->index, hash__key(&s->seed, key, netns));

	while ((*handle = index__next(&w)) != INDEX_NONE) {
		struct small *small = pool__at(&s->pool, *handle);

		if (small->last.netns == netns && !memcmp(&small->last.key, key, sizeof(*key)))
			return small;
	}
	return NULL;
}

static struct place *place(struct smalls *s, __u64 cookie)
{
	struct place *free_one = NULL;
	unsigned i;

	for (i = 0; i < NETNS_MAX; i++) {
		if (s->place[i].n && s->place[i].cookie == cookie)
			return &s->place[i];
		if (!s->place[i].n)
			free_one = &s->place[i];
	}
	if (free_one)
		*free_one = (struct place){ .cookie = cookie };
	return free_one;
}

static void drop(struct smalls *s, struct small *small, uint32_t handle)
{
	struct place *p = place(s, small->last.netns);

	index__remove(&s->index, hash__key(&s->seed, &small->last.key, small->last.netns), handle);
	if (p && p->n)
		p->n--;
	s->awaited -= small->state == STATE_FIN_WAIT2;
	small->used = false;
	pool__give(&s->pool, handle);
}

static int put(struct smalls *s, struct place *p, const struct small *made)
{
	uint32_t handle;
	struct small *small = s->pool.used < MOST ? pool__take(&s->pool, &handle) : NULL;

	if (!small)
		return -ENOMEM;
	if (index__add(&s->index, hash__key(&s->seed, &made->last.key, made->last.netns), handle)) {
		pool__give(&s->pool, handle);
		return -ENOMEM;
	}
	*small = *made;
	s->awaited += small->state == STATE_FIN_WAIT2;
	p->n++;
	return 0;
}

int smalls__add(struct smalls *s, const struct trace_tcp_event *e, __u8 state, __u64 since)
{
	struct small made = { .state = state, .used = true, .since = since, .last = *e };
	struct place *p = place(s, e->netns);
	struct small *old;
	uint32_t handle;
	int err;

	old = find(s, &e->key, e->netns, &handle);
	if (old)
		drop(s, old, handle);
	if (p && e->how)
		p->pid = e->who.pid;
	err = p ? put(s, p, &made) : -ENOSPC;
	s->missed += err != 0;
	return err;
}

__u64 smalls__take(struct smalls *s, const struct flow_key *key, __u64 netns, __u8 state,
		   struct trace_tcp_event *last)
{
	uint32_t handle;
	struct small *small = find(s, key, netns, &handle);
	__u64 since;

	if (!small || small->state != state)
		return 0;
	since = small->since;
	if (last)
		*last = small->last;
	drop(s, small, handle);
	return since;
}

/* ---- looking ---- */

static __u64 clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static __u64 now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static void change(struct smalls *s, struct small *small, __u8 to, __u64 time)
{
	__u8 from = small->state;

	s->fn(s->arg, &small->last, small->since, from, to, time);
	s->awaited -= from == STATE_FIN_WAIT2;
	small->state = to;
	small->since = time;
}

static void on_found(struct smalls *s, const struct trace_tcp_small *found)
{
	uint32_t handle;
	struct small *small = find(s, &found->key, found->netns, &handle);

	if (!small)
		return;
	small->seen = s->looks;
	small->missing = 0;
	if (small->state == STATE_FIN_WAIT2 && found->state == STATE_TIME_WAIT)
		change(s, small, STATE_TIME_WAIT, now_ns());
}

static int read_all(struct smalls *s, int fd)
{
	struct trace_tcp_small found[256];
	size_t have = 0, i;
	ssize_t n;

	while ((n = read(fd, (char *)found + have, sizeof(found) - have)) != 0) {
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		have += n;
		for (i = 0; i < have / sizeof(*found); i++)
			on_found(s, &found[i]);
		memmove(found, &found[i], have % sizeof(*found));
		have %= sizeof(*found);
	}
	return 0;
}

/* The iterator is of the namespace in which it is opened. */
static int walk(struct smalls *s)
{
	int link = bpf_link_create(s->iter, 0, BPF_TRACE_ITER, NULL);
	int fd = link < 0 ? -1 : bpf_iter_create(link);
	int err = fd < 0 ? -errno : read_all(s, fd);

	if (fd >= 0)
		close(fd);
	if (link >= 0)
		close(link);
	return err;
}

static int enter(const char *path, __u64 cookie)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	if (!err && link__netns() != cookie)
		err = -ESTALE;
	return err;
}

static int enter_named(struct place *p, const char *room)
{
	DIR *dir = opendir(room);
	const struct dirent *d;
	int err = -ENOENT;

	while (dir && err && (d = readdir(dir))) {
		if (*d->d_name == '.')
			continue;
		if (snprintf(p->path, sizeof(p->path), "%s/%s", room, d->d_name) <
		    (int)sizeof(p->path))
			err = enter(p->path, p->cookie);
	}
	if (dir)
		closedir(dir);
	return err;
}

/* The way that led there last time; else through a process whose socket it was; else by a name that somebody gave it. */
static int enter_any(struct place *p)
{
	int err = *p->path ? enter(p->path, p->cookie) : -ENOENT;

	if (err && p->pid) {
		snprintf(p->path, sizeof(p->path), "/proc/%u/ns/net", p->pid);
		err = enter(p->path, p->cookie);
	}
	if (err)
		err = enter_named(p, "/run/netns");
	if (err)
		err = enter_named(p, "/run/docker/netns");
	if (err)
		*p->path = 0;
	return err;
}

static int walk_in(struct smalls *s, struct place *p)
{
	int err;

	if (p->cookie == s->own_cookie)
		return walk(s);
	err = enter_any(p);
	if (!err)
		err = walk(s);
	if (setns(s->own, CLONE_NEWNET))
		err = fail(-errno, NULL, "return to our own network namespace");
	return err;
}

/* Not found in the place that was looked at, where all that is older than the look stands. */
static void settle(struct smalls *s, const struct place *p, __u64 begun, bool looked)
{
	struct small *small;
	uint32_t handle;

	for (handle = 0; (small = pool__next(&s->pool, &handle)); handle++) {
		if (!small->used || small->last.netns != p->cookie || small->seen == s->looks)
			continue;
		if (!looked) {
			s->missed++;
		} else if (small->since + SETTLED > begun) {
			continue;
		} else if (!small->missing) {
			small->missing = begun;
			continue;
		} else {
			change(s, small, STATE_CLOSE, small->missing);
		}
		drop(s, small, handle);
	}
}

void smalls__look(struct smalls *s, __u64 now)
{
	__u64 pause = s->awaited ? 100 * MS : 1000 * MS, spent, before;
	unsigned i;

	if (!s->pool.used || now < s->next)
		return;
	s->looks++;
	before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (i = 0; i < NETNS_MAX; i++) {
		__u64 begun = now_ns();

		if (s->place[i].n)
			settle(s, &s->place[i], begun, !walk_in(s, &s->place[i]));
	}
	spent = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
	s->next = now + (pause > 20 * spent ? pause : 20 * spent) - 50 * MS;
}
