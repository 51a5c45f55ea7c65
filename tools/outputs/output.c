// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "output.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

const struct output_kind *const output_kinds[] = {
	&output_jsonl,
	NULL,
};

const char *const reason_names[REASON_N] = {
#define X(id, name, class, text) name,
	REASONS(X)
#undef X
};

const char *const sample_names[SAMPLE_N] = {
#define X(id, name, text) name,
	SAMPLES(X)
#undef X
};

const char *const owner_how_names[OWNER_HOW_N] = {
#define X(id, name, text) name,
	OWNER_HOWS(X)
#undef X
};

struct count tally__named(const struct tally *t)
{
	struct count named = {};

	for (int i = 0; i < REASON_N; i++) {
		named.packets += t->reason[i].packets;
		named.bytes += t->reason[i].bytes;
	}
	return named;
}

static int64_t tally__difference(const struct tally *t)
{
	return t->seen.packets - tally__named(t).packets;
}

int64_t ledger_line__difference(const struct ledger_line *l)
{
	return tally__difference(&l->tally);
}

int64_t ledger_line__difference_bytes(const struct ledger_line *l)
{
	return l->tally.seen.bytes - tally__named(&l->tally).bytes;
}

static void print_counts(FILE *to, const struct count *count, const char *const *name, int n,
			 const char *before)
{
	for (int i = 0; i < n; i++) {
		if (!count[i].packets)
			continue;
		fprintf(to, "%s%llu %s", before, (unsigned long long)count[i].packets, name[i]);
		before = ", ";
	}
}

/* One number at rest, two in the middle of traffic. */
static void print_driver(FILE *to, const struct driver_range *d)
{
	fprintf(to, "; driver %llu", (unsigned long long)d->least.packets);
	if (d->least.packets != d->most.packets)
		fprintf(to, " to %llu", (unsigned long long)d->most.packets);
}

static void print_tally(FILE *to, const struct tally *t)
{
	fprintf(to, "%llu packets, %llu bytes", (unsigned long long)t->seen.packets,
		(unsigned long long)t->seen.bytes);
	print_counts(to, t->reason, reason_names, REASON_N, " = ");
	fprintf(to, "; difference %lld", (long long)tally__difference(t));
}

/* A CPU's own lines where several had something to count: each has a table of its own, and closes for itself. */
static void print_cpus(FILE *to, const struct ledger_line *l)
{
	int i, busy = 0;

	for (i = 0; i < l->cpus; i++)
		busy += l->cpu[i].seen.packets > 0;
	for (i = 0; i < l->cpus && busy > 1; i++) {
		if (!l->cpu[i].seen.packets)
			continue;
		fprintf(to, "  CPU %d: ", i);
		print_tally(to, &l->cpu[i]);
		fputc('\n', to);
	}
}

static void print_line(FILE *to, const struct ledger_line *l)
{
	fprintf(to, "%s%s%s: ", l->ifname, *l->ifname ? " " : "", l->direction);
	print_tally(to, &l->tally);
	if (l->has_driver)
		print_driver(to, &l->driver);
	print_counts(to, l->tally.sample, sample_names, SAMPLE_N, "; samples: ");
	fputc('\n', to);
	print_cpus(to, l);
}

static double share(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

void ledger__print_owners(const struct ledger *l, FILE *to)
{
	const char *before = "owners: ";
	struct count all = {};

	for (int i = 0; i < OWNER_HOW_N; i++) {
		all.packets += l->by_how[i].packets;
		all.bytes += l->by_how[i].bytes;
	}
	if (all.packets == l->by_how[OWNER_NONE].packets)
		return;
	/* "none" stands first in the enum, and last here. */
	for (int i = 1; i <= OWNER_HOW_N; i++) {
		const struct count *n = &l->by_how[i % OWNER_HOW_N];

		if (!n->packets && i < OWNER_HOW_N)
			continue;
		fprintf(to, "%s%.2f%% of packets (%.2f%% of bytes) %s", before,
			share(n->packets, all.packets), share(n->bytes, all.bytes),
			owner_how_names[i % OWNER_HOW_N]);
		before = ", ";
	}
	fputc('\n', to);
}

int ledger__print(const struct ledger *l, FILE *to)
{
	errno = 0;
	for (unsigned i = 0; i < l->lines; i++)
		print_line(to, &l->line[i]);
	ledger__print_owners(l, to);
	if (l->owner_events_lost)
		fprintf(to, "owner events lost: %llu\n", (unsigned long long)l->owner_events_lost);
	if (l->join_failed_packets)
		fprintf(to, "packets without memory for their flow: %llu\n",
			(unsigned long long)l->join_failed_packets);
	if (!fflush(to) && !ferror(to))
		return 0;
	return errno ? -errno : -EIO;
}

bool flow_view__source_opened(const struct flow_view *v)
{
	if (v->opener != OPENER_UNKNOWN)
		return v->opener == OPENER_SOURCE;
	return ntohs(v->key->sport) >= ntohs(v->key->dport);
}

FILE *output__stdout(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL), fd;
	FILE *file;

	/* Where standard output was closed, the first file opened for reading has its number. */
	if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY)
		errno = EBADF;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return NULL;
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	file = fd < 0 ? NULL : fdopen(fd, "w");
	if (fd >= 0 && !file)
		close(fd);
	return file;
}
