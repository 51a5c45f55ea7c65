// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Flows for people: collected, sorted by bytes, printed at the end. Each flow comes once, so nothing is summed here. */
#include "output.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "view.h"
#include "xdp/say.h"

#define END_SIZE (INET6_ADDRSTRLEN + sizeof("[]:65535"))

/* A flow with its source first, as records have it. */
struct row {
	struct flow_key key;
	struct count sent, received;
	uint32_t pid; /* 0: nobody known */
	char comm[16];
};

struct table {
	struct output base;
	FILE *to;
	struct row *row;
	size_t rows, room;
	bool owned; /* one of them has an owner: then there is a column for it */
	int err;    /* the first one, said */
};

static int table__open(struct output **out, const char *arg, const struct run_facts *facts)
{
	struct table *t = calloc(1, sizeof(*t));
	int err;

	(void)arg;
	(void)facts;
	if (!t)
		return fail(-ENOMEM, NULL, "open the table of flows");
	t->base.kind = &output_table;
	t->to = output__stdout();
	if (!t->to) {
		err = fail(-errno, NULL, "write a table to standard output");
		free(t);
		return err;
	}
	*out = &t->base;
	return 0;
}

static int table__grow(struct table *t)
{
	size_t room = t->room ? 2 * t->room : 256;
	struct row *row = reallocarray(t->row, room, sizeof(*row));

	if (!row) {
		t->err = fail(-ENOMEM, "--jsonl needs less", "keep %zu flows to sort them", room);
		return t->err;
	}
	t->row = row;
	t->room = room;
	return 0;
}

static int table__flow(struct output *o, const struct flow_record *r)
{
	struct table *t = (struct table *)o;
	const struct flow_view *f = r->flow;
	struct row *row;

	if (t->err || (t->rows == t->room && table__grow(t)))
		return t->err;
	row = &t->row[t->rows++];
	if (flow_view__source_opened(f))
		*row = (struct row){ .key = *f->key, .sent = f->sent, .received = f->received };
	else
		*row = (struct row){ .key = flow_key__reversed(f->key),
				     .sent = f->received,
				     .received = f->sent };
	if (f->who) {
		row->pid = f->who->pid;
		memcpy(row->comm, f->who->comm, sizeof(row->comm));
		t->owned = true;
	}
	return 0;
}

/* Most bytes first; flows of the same size in the order of their keys, so that two runs print the same. */
static int compare(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	uint64_t left = x->sent.bytes + x->received.bytes;
	uint64_t right = y->sent.bytes + y->received.bytes;

	if (left != right)
		return left < right ? 1 : -1;
	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static const char *end__text(const struct flow_key *key, bool source, char text[END_SIZE])
{
	const __u8 *addr = source ? key->saddr : key->daddr;
	unsigned port = ntohs(source ? key->sport : key->dport);
	char ip[INET6_ADDRSTRLEN];

	if (key->family == 4)
		snprintf(text, END_SIZE, "%s:%u", inet_ntop(AF_INET, addr + 12, ip, sizeof(ip)),
			 port);
	else
		snprintf(text, END_SIZE, "[%s]:%u", inet_ntop(AF_INET6, addr, ip, sizeof(ip)),
			 port);
	return text;
}

static int widest(const struct table *t, bool source, const char *head)
{
	size_t width = strlen(head);
	char text[END_SIZE];

	for (size_t i = 0; i < t->rows; i++) {
		size_t n = strlen(end__text(&t->row[i].key, source, text));

		width = n > width ? n : width;
	}
	return width;
}

static void print_row(FILE *to, const struct row *r, int source, int destination)
{
	char from[END_SIZE], towards[END_SIZE], name[4 * sizeof(r->comm) + 1];

	fprintf(to, "%-5s  %-*s  %-*s  %10llu %13llu  %10llu %13llu",
		r->key.proto == IPPROTO_TCP ? "tcp" : "udp", source, end__text(&r->key, true, from),
		destination, end__text(&r->key, false, towards),
		(unsigned long long)r->sent.packets, (unsigned long long)r->sent.bytes,
		(unsigned long long)r->received.packets, (unsigned long long)r->received.bytes);
	if (r->pid) {
		view__clean(r->comm, sizeof(r->comm), name, sizeof(name));
		fprintf(to, "  %u %s", r->pid, name);
	}
	fputc('\n', to);
}

static void print_rows(const struct table *t)
{
	int source = widest(t, true, "SOURCE"), destination = widest(t, false, "DESTINATION");

	fprintf(t->to, "%-5s  %-*s  %-*s  %10s %13s  %10s %13s%s\n", "PROTO", source, "SOURCE",
		destination, "DESTINATION", "SENT pkt", "SENT bytes", "RECV pkt", "RECV bytes",
		t->owned ? "  PROCESS" : "");
	for (size_t i = 0; i < t->rows && !ferror(t->to); i++)
		print_row(t->to, &t->row[i], source, destination);
}

/* The flows before the ledger, where both go to a terminal. */
static int table__ledger(struct output *o, const struct ledger *l)
{
	struct table *t = (struct table *)o;

	errno = 0;
	if (t->rows) {
		qsort(t->row, t->rows, sizeof(*t->row), compare);
		print_rows(t);
	}
	if ((ferror(t->to) || fflush(t->to)) && !t->err)
		t->err = fail(errno ? -errno : -EIO, NULL, "write to standard output");
	ledger__print(l, stderr);
	return t->err;
}

static int table__close(struct output *o)
{
	struct table *t = (struct table *)o;
	int err = t->err;

	fclose(t->to);
	free(t->row);
	free(t);
	return err;
}

const struct output_kind output_table = {
	.name = "table",
	.open = table__open,
	.flow = table__flow,
	.ledger = table__ledger,
	.close = table__close,
};
