// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "process.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "cgroup2.h"
#include "container.h"
#include "users.h"

#define ARGS_MAX 4096
#define BUCKETS 4096
#define GROUPS 1024
#define ENTRIES_MAX 65536
#define NS 1000000000ull
#define KEEP_DEAD (60 * NS)    /* its last packets may still be reported */
#define KEEP_UNUSED (600 * NS) /* nobody asked: its end may have been missed */

struct entry {
	struct process p;
	struct entry *next;
	uint64_t used;  /* time of the tick before it was asked for last */
	uint64_t named; /* the tick, by number, before its name was looked up last */
};

/* A control group that was met: its path is known when it and all its processes are gone, too. */
struct group {
	uint64_t id; /* 0: none */
	char *path;
};

struct process_table {
	struct entry *bucket[BUCKETS];
	struct users *users;
	struct group group[GROUPS];
	int cgroups; /* root of the cgroup2 hierarchy, -errno: there is none */
	bool args;
	size_t n;
	uint64_t now;
	uint64_t ticks; /* plus 1 */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

int process_table__open(struct process_table **out)
{
	struct process_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	if (users__open(&t->users)) {
		free(t);
		return -ENOMEM;
	}
	t->cgroups = cgroup2__root();
	t->now = now_ns();
	t->ticks = 1;
	*out = t;
	return 0;
}

static void forget_program(struct process *p)
{
	free((char *)p->exe);
	free(p->args);
	p->exe = p->args = NULL;
	p->args_size = 0;
}

static void forget_names(struct process *p)
{
	forget_program(p);
	free((char *)p->cgroup);
	placement__free(&p->placement);
	p->cgroup = p->container = NULL;
}

static void entry__free(struct entry *e)
{
	forget_names(&e->p);
	free(e);
}

void process_table__close(struct process_table *t)
{
	struct entry *e, *next;
	int i;

	if (!t)
		return;
	for (i = 0; i < BUCKETS; i++)
		for (e = t->bucket[i]; e; e = next) {
			next = e->next;
			entry__free(e);
		}
	for (i = 0; i < GROUPS; i++)
		free(t->group[i].path);
	if (t->cgroups >= 0)
		close(t->cgroups);
	users__close(t->users);
	free(t);
}

void process_table__read_args(struct process_table *t)
{
	t->args = true;
}

/* ---- what /proc says, as long as it is still the same process ---- */

static FILE *open_proc(uint32_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	return fopen(path, "re");
}

/* proc(5): field 2, "(name)", may hold any byte, up to the last ')'. */
static void take_name(const char *line, const char *end, char comm[16])
{
	const char *name = strchr(line, '(');
	size_t n = name && name < end ? (size_t)(end - name - 1) : 16;

	if (n >= 16)
		return;
	memset(comm, 0, 16);
	memcpy(comm, name + 1, n);
}

/* proc(5): field 22 of stat is the start in clock ticks since boot. comm may be NULL. */
static bool is_same(const struct who *who, uint32_t *parent, char comm[16])
{
	uint64_t tick = NS / sysconf(_SC_CLK_TCK), mine = who->start / tick;
	unsigned long long start = 0;
	char line[1024], *rest;
	unsigned ppid = 0;
	FILE *stat = open_proc(who->pid, "stat");
	bool same = false;
	size_t n;

	if (!stat)
		return false;
	n = fread(line, 1, sizeof(line) - 1, stat);
	fclose(stat);
	line[n] = 0;
	rest = strrchr(line, ')');
	if (rest &&
	    sscanf(rest + 1,
		   " %*c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &ppid, &start) == 2)
		same = start + 1 >= mine && start <= mine + 1;
	if (same)
		*parent = ppid;
	if (same && comm)
		take_name(line, rest, comm);
	return same;
}

/* An executable that was replaced or removed since still has its name. */
static char *read_exe(uint32_t pid)
{
	static const char gone[] = " (deleted)";
	char path[64], exe[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return NULL;
	exe[n] = 0;
	if ((size_t)n >= sizeof(gone) && !strcmp(exe + n - (sizeof(gone) - 1), gone))
		exe[n - (sizeof(gone) - 1)] = 0;
	return strdup(exe);
}

/*
 * Lines "number:controllers:/path"; "0::" is the unified hierarchy. Where it is mounted beside older ones, a container
 * may show in one of those alone.
 */
static void read_cgroup(struct process *p)
{
	FILE *f = open_proc(p->who.pid, "cgroup");
	char line[PATH_MAX + 256], *path;

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		path = strchr(line, ':');
		path = path ? strchr(path + 1, ':') : NULL;
		if (!path)
			continue;
		if (!p->cgroup && !strncmp(line, "0::", 3))
			p->cgroup = strdup(path + 1);
		placement__add(&p->placement, path + 1);
	}
	p->container = p->placement.container;
	fclose(f);
}

static void read_args(struct process *p)
{
	FILE *f = open_proc(p->who.pid, "cmdline");

	p->args = f ? malloc(ARGS_MAX + 1) : NULL;
	if (p->args) {
		p->args_size = fread(p->args, 1, ARGS_MAX, f);
		if (p->args_size && p->args[p->args_size - 1])
			p->args[p->args_size++] = 0; /* cut */
	}
	if (f)
		fclose(f);
}

static struct group *group_at(struct process_table *t, uint64_t id)
{
	return &t->group[id * 0x9e3779b97f4a7c15 >> 54];
}

static void remember_group(struct process_table *t, uint64_t id, const char *path)
{
	struct group *g = group_at(t, id);

	if (!id || !path || g->id == id)
		return;
	free(g->path);
	g->path = strdup(path);
	g->id = g->path ? id : 0;
}

/* It ended before anybody could look: its group is all that still says where it ran. */
static void learn_from_group(struct process_table *t, struct process *p)
{
	struct group *g = group_at(t, p->who.cgroup);
	char *path = NULL;

	if (!p->who.cgroup || p->cgroup)
		return;
	if (g->id == p->who.cgroup)
		path = strdup(g->path);
	else if (t->cgroups >= 0)
		path = cgroup2__path(t->cgroups, p->who.cgroup);
	if (!path)
		return;
	remember_group(t, p->who.cgroup, path);
	placement__add(&p->placement, path);
	p->container = p->placement.container;
	p->cgroup = path;
}

/* All or nothing: what was read counts only if it was the same process before and after. */
static void learn(struct process_table *t, struct process *p)
{
	struct process now = { .who = p->who };
	bool same = is_same(&p->who, &now.parent, NULL);

	if (same) {
		now.exe = read_exe(p->who.pid);
		read_cgroup(&now);
		if (t->args)
			read_args(&now);
		same = is_same(&p->who, &now.parent, NULL);
	}
	if (!same) {
		forget_names(&now);
		p->ended = p->ended ? p->ended : now_ns();
		learn_from_group(t, p);
		return;
	}
	forget_names(p);
	p->exe = now.exe;
	p->cgroup = now.cgroup;
	p->container = now.container;
	p->placement = now.placement;
	p->args = now.args;
	p->args_size = now.args_size;
	p->parent = now.parent;
	remember_group(t, p->who.cgroup, p->cgroup);
}

/* ---- the table ---- */

static struct entry **find(struct process_table *t, const struct who *who)
{
	struct entry **at = &t->bucket[(who->pid * 2654435761u ^ who->start) % BUCKETS];

	while (*at && ((*at)->p.who.pid != who->pid || (*at)->p.who.start != who->start))
		at = &(*at)->next;
	return at;
}

const struct process *process_table__get(struct process_table *t, const struct who *who)
{
	struct entry **at = find(t, who), *e = *at;

	if (!e && t->n < ENTRIES_MAX) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return NULL;
		e->p.who = *who;
		e->p.user = users__name(t->users, who->uid);
		learn(t, &e->p);
		*at = e;
		t->n++;
	}
	if (e)
		e->used = t->now;
	return e ? &e->p : NULL;
}

const struct process *process_table__now(struct process_table *t, const struct who *who)
{
	const struct process *p = process_table__get(t, who);
	struct entry *e = p ? *find(t, who) : NULL;

	if (!e || e->p.ended || e->named == t->ticks)
		return p;
	e->named = t->ticks;
	if (!is_same(&e->p.who, &e->p.parent, e->p.who.comm))
		e->p.ended = now_ns();
	return p;
}

void process_table__event(struct process_table *t, const struct owner_event *e)
{
	struct entry *known;

	if ((e->kind == OWNER_SOCKET || e->kind == OWNER_TIE) && e->who.pid) {
		process_table__get(t, &e->who); /* it may not live long */
		return;
	}
	known = e->who.pid ? *find(t, &e->who) : NULL;
	if (!known)
		return;
	if (e->kind == OWNER_EXEC) { /* another program, even if it ended too soon to say which */
		known->p.who = e->who;
		known->p.parent = e->parent;
		forget_program(&known->p);
		known->p.user = users__name(t->users, e->who.uid);
		learn(t, &known->p);
	} else if (e->kind == OWNER_EXIT) {
		known->p.ended = e->time;
		memcpy(known->p.who.comm, e->who.comm, sizeof(e->who.comm)); /* its last */
	}
}

static bool is_over(const struct entry *e, uint64_t now)
{
	if (e->p.ended && now > e->p.ended + KEEP_DEAD)
		return true;
	return now > e->used + KEEP_UNUSED;
}

void process_table__tick(struct process_table *t, uint64_t now)
{
	struct entry **at, *e;
	int i;

	t->now = now;
	t->ticks++;
	for (i = 0; i < BUCKETS; i++)
		for (at = &t->bucket[i]; (e = *at);) {
			if (!is_over(e, now)) {
				at = &e->next;
				continue;
			}
			*at = e->next;
			entry__free(e);
			t->n--;
		}
}
