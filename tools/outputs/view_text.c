// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rows as text: a table of columns, each with the groupings and the width it is for. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include "view.h"

#define CELL_MAX 320
#define CUT '+' /* stands where a text was cut */

const char *view__human(uint64_t n, char *text)
{
	static const char unit[] = " kMGTPE";
	double value = (double)n;
	int i = 0;

	/* 999.5 would be printed as "1000". */
	for (; value >= 999.5; i++)
		value /= 1000;
	if (!i)
		snprintf(text, 8, "%u", (unsigned)n);
	else
		snprintf(text, 8, "%.*f%c",
			 value < 9.995   ? 2
			 : value < 99.95 ? 1
					 : 0,
			 value, unit[i]);
	return text;
}

/*
 * One character of the locale: its bytes, and its columns. 0 columns: not to be shown as it is (control, invalid,
 * combining, zero width, turning the direction of the line).
 */
static size_t character(const char *text, size_t n, int *columns)
{
	mbstate_t state = { 0 };
	wchar_t wide;
	size_t length = mbrtowc(&wide, text, n, &state);

	*columns = 0;
	if (length == (size_t)-1 || length == (size_t)-2 || !length)
		return 1;
	*columns = wcwidth(wide);
	if (*columns < 0)
		*columns = 0;
	return length;
}

void view__clean(const char *bytes, size_t n, char *text, size_t size)
{
	size_t at = 0;

	n = strnlen(bytes, n);
	while (n) {
		int columns;
		size_t length = character(bytes, n, &columns);
		size_t need = columns ? length : 4 * length;

		if (at + need >= size)
			break;
		if (columns)
			memcpy(text + at, bytes, length);
		for (size_t i = 0; !columns && i < length; i++)
			snprintf(text + at + 4 * i, 5, "\\x%02X", (unsigned char)bytes[i]);
		at += need;
		bytes += length;
		n -= length;
	}
	text[at] = '\0';
}

/* ---- cells ---- */

static int columns_of(const char *text)
{
	int sum = 0, columns;

	while (*text) {
		text += character(text, strlen(text), &columns);
		sum += columns ? columns : 1;
	}
	return sum;
}

/* A line under way; what does not fit into `size` is left out. */
struct line {
	char *text;
	size_t size, at;
};

static void line__put(struct line *l, const char *text, size_t n)
{
	if (l->at + n >= l->size)
		return;
	memcpy(l->text + l->at, text, n);
	l->at += n;
	l->text[l->at] = '\0';
}

static void line__blanks(struct line *l, int n)
{
	for (; n > 0; n--)
		line__put(l, " ", 1);
}

static void line__cell(struct line *l, const char *text, int width, bool left)
{
	static const char cut = CUT;
	int all = columns_of(text), at = 0, columns;

	if (!left)
		line__blanks(l, width - all);
	while (*text) {
		size_t length = character(text, strlen(text), &columns);

		columns = columns ? columns : 1;
		if (all > width && at + columns >= width) {
			line__put(l, &cut, 1);
			at++;
			break;
		}
		line__put(l, text, length);
		at += columns;
		text += length;
	}
	if (left)
		line__blanks(l, width - at);
}

/* ---- what stands in a column ---- */

/* "10.1.1.1:80", "[2001:db8::1]:80"; an address that is too long loses its end, never its port. */
static void endpoint(const struct flow_key *key, const __u8 *addr, __be16 port, int width,
		     char *text, size_t size)
{
	char whole[INET6_ADDRSTRLEN], tail[16];
	bool v4 = key->family == 4;
	int room;

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, whole, sizeof(whole));
	snprintf(tail, sizeof(tail), "%s:%u", v4 ? "" : "]", ntohs(port));
	room = width - (int)strlen(tail) - !v4;
	if (width && room > 1 && (int)strlen(whole) > room) {
		whole[room - 1] = CUT;
		whole[room] = '\0';
	}
	snprintf(text, size, "%s%s%s", v4 ? "" : "[", whole, tail);
}

static const char *protocol(const struct flow_key *key)
{
	return key->proto == IPPROTO_TCP ? "tcp" : "udp";
}

/* "tcp LOCAL > REMOTE": the arrow points away from the end that opened the flow. */
static void flow_text(const struct view_row *r, int width, char *text, size_t size)
{
	static const char arrow[] = {
		[OPENER_UNKNOWN] = '-', [OPENER_SOURCE] = '>', [OPENER_DESTINATION] = '<'
	};
	char local[64], remote[64];
	int room = width ? width - 7 : 0, half = room / 2;

	endpoint(&r->key, r->key.saddr, r->key.sport, 0, local, sizeof(local));
	endpoint(&r->key, r->key.daddr, r->key.dport, 0, remote, sizeof(remote));
	if (room > 0 && (int)(strlen(local) + strlen(remote)) > room) {
		int l = (int)strlen(local) < half ? (int)strlen(local) : half;

		if ((int)strlen(remote) < room - half)
			l = room - (int)strlen(remote);
		endpoint(&r->key, r->key.saddr, r->key.sport, l, local, sizeof(local));
		endpoint(&r->key, r->key.daddr, r->key.dport, room - l, remote, sizeof(remote));
	}
	snprintf(text, size, "%s %s %c %s", protocol(&r->key), local, arrow[r->opener], remote);
}

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static void put_pid(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	if (r->comm)
		snprintf(text, CELL_MAX, "%u", r->pid);
	else
		snprintf(text, CELL_MAX, "-");
}

static void put_user(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	snprintf(text, CELL_MAX, "%s", or_dash(r->user));
}

static void put_comm(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	snprintf(text, CELL_MAX, "%s", or_dash(r->comm));
}

static void put_interface(const struct view_table *t, const struct view_row *r, char *text)
{
	bool known = t->facts && r->key.link < t->facts->links && !r->name;

	snprintf(text, CELL_MAX, "%s", known ? t->facts->ifname[r->key.link] : "-");
}

static void put_label(const struct view_table *t, const struct view_row *r, char *text)
{
	if (r->name)
		snprintf(text, CELL_MAX, "%s", r->name);
	else if (t->by == VIEW_PROCESS)
		put_comm(t, r, text);
	else if (t->by == VIEW_FLOW)
		flow_text(r, t->label, text, CELL_MAX);
	else if (t->by == VIEW_USER)
		put_user(t, r, text);
	else if (t->by == VIEW_PORT)
		snprintf(text, CELL_MAX, "%s/%u", protocol(&r->key), ntohs(r->key.dport));
	else
		snprintf(text, CELL_MAX, "%s",
			 r->container && *r->container ? r->container : "(host)");
}

static void put_rx_packets(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->received.packets, text);
}

static void put_rx_bytes(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->received.bytes, text);
}

static void put_tx_packets(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->sent.packets, text);
}

static void put_tx_bytes(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->sent.bytes, text);
}

static void put_all_rx(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->all_received.bytes, text);
}

static void put_all_tx(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->all_sent.bytes, text);
}

static void put_flows(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	view__human(r->flows, text);
}

static void put_how(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	snprintf(text, CELL_MAX, "%s", owner_how_names[r->how]);
}

static void put_container(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	snprintf(text, CELL_MAX, "%s", or_dash(r->container ? r->container : r->unit));
}

static void put_exe(const struct view_table *t, const struct view_row *r, char *text)
{
	(void)t;
	snprintf(text, CELL_MAX, "%s", or_dash(r->exe));
}

/* ---- columns ---- */

#define BY(x) (1u << VIEW_##x)
#define BY_ALL (BY(PROCESS) | BY(FLOW) | BY(USER) | BY(CONTAINER) | BY(PORT))
#define BY_GROUPS (BY_ALL & ~BY(FLOW))
#define WIDE 106
#define WIDEST 150

static const struct column {
	unsigned by;
	const char *head;
	int width; /* 0: the label, which takes what the others leave */
	int from;  /* shown from this width of the table on */
	bool left;
	void (*put)(const struct view_table *t, const struct view_row *r, char *text);
} columns[] = {
	{ BY(PROCESS) | BY(FLOW), "PID", 7, 0, false, put_pid },
	{ BY(PROCESS), "USER", 8, 0, true, put_user },
	{ BY(FLOW), "COMM", 9, 0, true, put_comm },
	{ BY(FLOW), "IF", 8, 0, true, put_interface },
	{ BY(PROCESS), "COMM", 0, 0, true, put_label },
	{ BY(FLOW), "FLOW (local, remote)", 0, 0, true, put_label },
	{ BY(USER), "USER", 0, 0, true, put_label },
	{ BY(CONTAINER), "CONTAINER", 0, 0, true, put_label },
	{ BY(PORT), "PORT", 0, 0, true, put_label },
	{ BY_GROUPS, "RX pkt", 6, 0, false, put_rx_packets },
	{ BY(FLOW), "RX pkt", 6, WIDE, false, put_rx_packets },
	{ BY_GROUPS, "RX bytes", 8, 0, false, put_rx_bytes },
	{ BY(FLOW), "RX", 6, 0, false, put_rx_bytes },
	{ BY_GROUPS, "TX pkt", 6, 0, false, put_tx_packets },
	{ BY(FLOW), "TX pkt", 6, WIDE, false, put_tx_packets },
	{ BY_GROUPS, "TX bytes", 8, 0, false, put_tx_bytes },
	{ BY(FLOW), "TX", 6, 0, false, put_tx_bytes },
	{ BY_GROUPS, "FLOWS", 5, 0, false, put_flows },
	{ BY_ALL, "ALL RX", 6, WIDE, false, put_all_rx },
	{ BY_ALL, "ALL TX", 6, WIDE, false, put_all_tx },
	{ BY_ALL, "HOW", 8, 0, true, put_how },
	{ BY(PROCESS), "CONTAINER", 12, WIDE, true, put_container },
	{ BY(PROCESS), "EXE", 40, WIDEST, true, put_exe },
};

#define COLUMNS (sizeof(columns) / sizeof(*columns))

static bool column__shown(const struct column *c, const struct view_table *t)
{
	if (!(c->by & 1u << t->by) || (t->width && t->width < c->from))
		return false;
	return c->put != put_interface || (t->facts && t->facts->links > 1);
}

static int label__longest(const struct view_table *t)
{
	int longest = 0;
	char text[CELL_MAX];

	for (size_t i = 0; i < t->n; i++) {
		int width;

		put_label(t, t->rows[i], text);
		width = columns_of(text);
		if (width > longest)
			longest = width;
	}
	return longest;
}

void view_table__take(struct view_table *t, struct view *v)
{
	int others = 0, head = 0, least = 16;

	t->n = t->all = view__rows(v, t->by, t->sort, &t->rows);
	if (t->most && t->n > t->most)
		t->n = t->most;
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!column__shown(&columns[i], t))
			continue;
		others += columns[i].width ? columns[i].width + 1 : 0;
		if (!columns[i].width)
			head = (int)strlen(columns[i].head);
	}
	t->label = 0;
	t->label = label__longest(t);
	if (t->label < head)
		t->label = head;
	/* A column that keeps its width from one interval to the next is easier to read. */
	if (t->width && t->label < least)
		t->label = least;
	if (t->width && t->label > t->width - others)
		t->label = t->width - others;
	if (t->label < 1)
		t->label = 1;
}

static void line__end(struct line *l)
{
	while (l->at && l->text[l->at - 1] == ' ')
		l->at--;
	l->text[l->at] = '\0';
}

void view_table__heads(const struct view_table *t, char *text, size_t size)
{
	struct line line = { text, size, 0 };

	for (size_t i = 0; i < COLUMNS; i++) {
		const struct column *c = &columns[i];

		if (!column__shown(c, t))
			continue;
		line__blanks(&line, line.at > 0);
		line__cell(&line, c->head, c->width ? c->width : t->label, c->left);
	}
	line__end(&line);
}

void view_table__line(const struct view_table *t, const struct view_row *row, char *text,
		      size_t size)
{
	struct line line = { text, size, 0 };
	char cell[CELL_MAX];

	for (size_t i = 0; i < COLUMNS; i++) {
		const struct column *c = &columns[i];

		if (!column__shown(c, t))
			continue;
		line__blanks(&line, line.at > 0);
		c->put(t, row, cell);
		line__cell(&line, cell, c->width ? c->width : t->label, c->left);
	}
	line__end(&line);
}

int view__print(struct view *v, FILE *to, const struct view_table *how)
{
	struct view_table t = *how;
	char line[2048];

	view_table__take(&t, v);
	view_table__heads(&t, line, sizeof(line));
	fprintf(to, "%s\n", line);
	for (size_t i = 0; i < t.n; i++) {
		view_table__line(&t, t.rows[i], line, sizeof(line));
		fprintf(to, "%s\n", line);
	}
	if (t.all > t.n)
		fprintf(to, "... and %zu more\n", t.all - t.n);
	return fflush(to) || ferror(to) ? -EIO : 0;
}
