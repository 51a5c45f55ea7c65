// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "read_owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "owner.h"
#include "pcapng_reader.h"

#define BUCKETS 4096
#define PROCESSES_MAX 65536

struct entry {
	struct process p;
	struct entry *next; /* newest first */
};

struct note {
	struct read_note note;
	uint32_t length;
};

struct read_owner {
	FILE *file;
	struct pcapng_reader *reader;
	struct entry *bucket[BUCKETS];
	size_t processes;
	struct note *note; /* of packets that libpcap has not given yet */
	size_t first, next, room;
};

/* ---- processes ---- */

static struct entry **bucket_of(const struct read_owner *r, uint32_t pid)
{
	return (struct entry **)&r->bucket[pid % BUCKETS];
}

static void forget(struct process *p)
{
	free((char *)p->exe);
	free((char *)p->user);
	free((char *)p->container);
}

static char *copy(const char *text)
{
	return text && *text ? strdup(text) : NULL;
}

/* Takes over what is new; an older process of the same number stays, since flows may still be its. */
static struct entry *learn(struct read_owner *r, const struct process *p)
{
	struct entry **bucket = bucket_of(r, p->who.pid), **at = bucket, *e;

	while (*at && ((*at)->p.who.pid != p->who.pid || (*at)->p.who.start != p->who.start))
		at = &(*at)->next;
	e = *at;
	if (!e && r->processes >= PROCESSES_MAX)
		return NULL;
	if (e) {
		*at = e->next;
	} else {
		e = calloc(1, sizeof(*e));
		if (!e)
			return NULL;
		r->processes++;
	}
	forget(&e->p);
	e->p = *p;
	e->p.exe = copy(p->exe);
	e->p.user = copy(p->user);
	e->p.container = copy(p->container);
	e->next = *bucket;
	*bucket = e;
	return e;
}

static struct entry *latest(const struct read_owner *r, uint32_t pid)
{
	struct entry *e = *bucket_of(r, pid);

	while (e && e->p.who.pid != pid)
		e = e->next;
	return e;
}

const struct process *read_owner__process(const struct read_owner *r, const struct who *who)
{
	struct entry *e = *bucket_of(r, who->pid);

	while (e && (e->p.who.pid != who->pid || e->p.who.start != who->start))
		e = e->next;
	return e ? &e->p : NULL;
}

static void on_process(void *to, const struct pcapng_process *from)
{
	struct process p = { .who = { .pid = from->pid, .uid = from->uid, .start = from->start },
			     .parent = from->parent,
			     .exe = from->exe,
			     .user = from->user };

	if (from->name)
		memcpy(p.who.comm, from->name, strnlen(from->name, sizeof(p.who.comm) - 1));
	learn(to, &p);
}

/* ---- packets ---- */

/* The comment says how, and in which container; the process block the rest, where there is one. */
static void note__own(struct read_owner *r, struct read_note *n, const struct pcapng_note *from)
{
	char text[OWNER_COMMENT_SIZE];
	struct process said = {};
	enum owner_how how = OWNER_NONE;
	struct entry *e;

	if (from->comment)
		owner_comment__parse(from->comment, from->comment_length, text, &said, &how);
	e = latest(r, from->pid ? from->pid : said.who.pid);
	if (!e && who__is_somebody(&said.who))
		e = learn(r, &said);
	if (!e || (!from->pid && !who__is_somebody(&said.who)))
		return;
	if (said.container && !e->p.container)
		e->p.container = copy(said.container);
	n->process = &e->p;
	n->how = how ? how : OWNER_SNAPSHOT;
}

static int make_room(struct read_owner *r)
{
	size_t room = r->room ? 2 * r->room : 256;
	struct note *note;

	if (r->first == r->next)
		r->first = r->next = 0;
	if (r->next < r->room)
		return 0;
	if (r->first) {
		memmove(r->note, r->note + r->first, (r->next - r->first) * sizeof(*r->note));
		r->next -= r->first;
		r->first = 0;
		return 0;
	}
	note = reallocarray(r->note, room, sizeof(*note));
	if (!note)
		return -ENOMEM;
	r->note = note;
	r->room = room;
	return 0;
}

static void on_packet(void *to, const struct pcapng_note *from)
{
	struct read_owner *r = to;
	struct note n = { .length = from->length,
			  .note = { .direction = from->flags & PCAPNG_DIRECTION } };

	if (make_room(r))
		return;
	if (from->pid || from->comment)
		note__own(r, &n.note, from);
	r->note[r->next++] = n;
}

/* What does not fit is no note of this packet, whatever went wrong. */
struct read_note read_owner__next(struct read_owner *r, uint32_t length)
{
	const struct note *n = &r->note[r->first];

	if (r->first == r->next)
		return (struct read_note){};
	r->first++;
	return n->length == length ? n->note : (struct read_note){};
}

/* ---- the file ---- */

/* Whatever is there, as a pipe gives it; nobody else reads `file`, so nothing is in its buffer. */
static ssize_t on_read(void *to, char *at, size_t size)
{
	struct read_owner *r = to;
	ssize_t n;

	do
		n = read(fileno(r->file), at, size);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		pcapng_reader__feed(r->reader, at, n);
	return n;
}

static int on_close(void *to)
{
	struct read_owner *r = to;

	return fclose(r->file);
}

int read_owner__open(struct read_owner **out, FILE *file, FILE **through)
{
	const cookie_io_functions_t io = { .read = on_read, .close = on_close };
	struct read_owner *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->file = file;
	err = pcapng_reader__open(&r->reader,
				  &(struct pcapng_listener){ r, on_packet, on_process });
	if (!err) {
		*through = fopencookie(r, "r", io);
		err = *through ? 0 : -ENOMEM;
	}
	if (err) {
		read_owner__close(r);
		return err;
	}
	*out = r;
	return 0;
}

void read_owner__close(struct read_owner *r)
{
	struct entry *e, *next;
	size_t i;

	if (!r)
		return;
	for (i = 0; i < BUCKETS; i++)
		for (e = r->bucket[i]; e; e = next) {
			next = e->next;
			forget(&e->p);
			free(e);
		}
	pcapng_reader__close(r->reader);
	free(r->note);
	free(r);
}
