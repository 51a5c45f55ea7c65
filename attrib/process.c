// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "process.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "container.h"
#include "users.h"

#define BUCKETS 4096
#define ENTRIES_MAX 65536
#define NS 1000000000ull
#define KEEP_DEAD (60 * NS)    /* its last packets may still be reported */
#define KEEP_UNUSED (600 * NS) /* nobody asked: its end may have been missed */

struct entry {
	struct process p;
	struct entry *next;
	uint64_t used; /* time of the tick before it was asked for last */
};

struct process_table {
	struct entry *bucket[BUCKETS];
	struct users *users;
	size_t n;
	uint64_t now;
};

int process_table__open(struct process_table **out)
{
	struct process_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	if (users__open(&t->users)) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static void forget_names(struct process *p)
{
	free((char *)p->exe);
	free((char *)p->cgroup);
	free((char *)p->container);
	p->exe = p->cgroup = p->container = NULL;
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
	users__close(t->users);
	free(t);
}

/* ---- what /proc says, as long as it is still the same process ---- */

static FILE *open_proc(uint32_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	return fopen(path, "re");
}

/* proc(5): field 22 of stat is the start in clock ticks since boot; field 2 may hold any byte but ends at the last ')'. */
static bool is_same(const struct who *who, uint32_t *parent)
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
	return same;
}

static char *read_exe(uint32_t pid)
{
	char path[64], exe[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return NULL;
	exe[n] = 0;
	return strdup(exe);
}

/* The unified hierarchy's line: "0::/path". */
static char *read_cgroup(uint32_t pid)
{
	FILE *f = open_proc(pid, "cgroup");
	char line[PATH_MAX + 8], *found = NULL;

	if (!f)
		return NULL;
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = 0;
		found = strdup(line + 3);
	}
	fclose(f);
	return found;
}

static void learn(struct process *p)
{
	uint32_t parent = 0;

	if (!is_same(&p->who, &parent))
		return;
	forget_names(p);
	p->exe = read_exe(p->who.pid);
	p->cgroup = read_cgroup(p->who.pid);
	p->container = container__of_cgroup(p->cgroup);
	p->parent = parent;
	if (!is_same(&p->who, &parent)) /* the pid changed hands while we read */
		forget_names(p);
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
		learn(&e->p);
		*at = e;
		t->n++;
	}
	if (e)
		e->used = t->now;
	return e ? &e->p : NULL;
}

void process_table__event(struct process_table *t, const struct owner_event *e)
{
	struct entry *known;

	if (e->kind == OWNER_SOCKET && e->who.pid) {
		process_table__get(t, &e->who);
		return;
	}
	known = e->who.pid ? *find(t, &e->who) : NULL;
	if (!known)
		return;
	if (e->kind == OWNER_EXEC) {
		memcpy(known->p.who.comm, e->who.comm, sizeof(e->who.comm));
		known->p.who.uid = e->who.uid;
		known->p.user = users__name(t->users, e->who.uid);
		learn(&known->p);
	} else if (e->kind == OWNER_EXIT) {
		known->p.ended = e->time;
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
