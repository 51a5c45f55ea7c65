/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_VIEW_H
#define WIREWHO_VIEW_H
/*
 * Flow records in, rows of a table out: packets and bytes by process, flow, user, container and port at once, so that
 * `top` can turn from one to the other without a blank interval. No I/O and no clock; all that records point to is
 * copied. Memory is bounded: a grouping keeps at most VIEW_ROWS_MAX rows; what comes when it is full is counted in
 * one row named "(others)".
 *
 * Texts in rows are ready for a terminal: a byte that is no printable character of the locale (set LC_CTYPE first)
 * stands as \xNN, so no process name can move the cursor or turn the line around.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "output.h"

#define VIEW_ROWS_MAX 32768

enum view_by { VIEW_PROCESS, VIEW_FLOW, VIEW_USER, VIEW_CONTAINER, VIEW_PORT, VIEW_BY_N };
extern const char *const view_by_names[VIEW_BY_N + 1]; /* "process", ..., NULL: choices of --by */

/* All of them downwards, by what was counted in the interval. */
enum view_sort {
	VIEW_SORT_BYTES, /* both directions */
	VIEW_SORT_RX_PACKETS,
	VIEW_SORT_RX_BYTES,
	VIEW_SORT_TX_PACKETS,
	VIEW_SORT_TX_BYTES,
	VIEW_SORT_FLOWS,
	VIEW_SORT_N
};
extern const char *const view_sort_names[VIEW_SORT_N + 1];

struct view_row {
	struct count received, sent;         /* in the interval that ended last */
	struct count all_received, all_sent; /* since the row is there */
	unsigned flows;                      /* records of the interval */
	enum owner_how how; /* the weakest of its flows: a guess is never shown as a fact */
	const char *name;   /* "(not named)" or "(others)"; NULL where the fields below say what */
	uint32_t pid, uid;  /* by process and flow (pid), by user (uid) */
	const char *comm;   /* by process and flow */
	const char *user;   /* by process, flow and user; its number where it has no name */
	const char *container; /* NULL: none */
	const char *unit;      /* by process: of systemd, the user's own first; NULL: none */
	const char *exe;       /* by process; NULL: not known */
	const char *args;      /* by process: the command line; NULL: not asked for */
	struct flow_key key;   /* by flow: source is the local end; by port: proto and dport only */
	enum opener opener;    /* by flow */
};

/* Sums over all flows of the interval that ended last. */
struct view_sum {
	struct count received, sent;
	struct count unnamed; /* of both: nobody known */
	unsigned flows;
	double seconds; /* its length; 0 for the first */
};

struct view;

int view__open(struct view **out); /* 0 or -ENOMEM */
void view__close(struct view *v);

/* Adds a record to the interval that is under way. */
void view__add(struct view *v, const struct flow_record *r);
/*
 * Ends the interval, at `now` (ns, any clock): rows and sum show it until the next call. A first call before anything
 * was added marks the beginning.
 */
void view__end_interval(struct view *v, uint64_t now);

/*
 * The rows of the last interval that counted anything, sorted. *rows stays valid until the next call of any function
 * here. Returns how many. Without memory to sort, none.
 */
size_t view__rows(struct view *v, enum view_by by, enum view_sort sort,
		  const struct view_row *const **rows);
const struct view_sum *view__sum(const struct view *v);
/* Packets without an owner, 0..1 of all in the last interval. */
double view_sum__unnamed(const struct view_sum *s);

/* ---- text (view_text.c) ---- */

/* Three digits and a unit of 1000: "999", "1.20k", "34.5M", "678G". Returns text (at least 8 bytes). */
const char *view__human(uint64_t n, char *text);
/* Bytes (up to `n`, or the first zero) as text that is safe to show; always terminated. */
void view__clean(const char *bytes, size_t n, char *text, size_t size);

/* A table to draw: one grouping, one width. */
struct view_table {
	enum view_by by;
	enum view_sort sort;
	int width;                     /* columns; 0: as wide as it must be, nothing cut */
	size_t most;                   /* rows; 0: all */
	const struct run_facts *facts; /* names interfaces in flow rows; may be NULL */

	const struct view_row *const *rows; /* from here on: view_table__take() */
	size_t n;                           /* rows taken */
	size_t all;                         /* rows there are */
	int label; /* width of the column that takes what the others leave */
};
/* Takes the rows and works out the columns; the rows are valid as long as view__rows() says. */
void view_table__take(struct view_table *t, struct view *v);
/* The line of column heads, and one row; without newline, with no blanks at the end. */
void view_table__heads(const struct view_table *t, char *text, size_t size);
void view_table__line(const struct view_table *t, const struct view_row *row, char *text,
		      size_t size);

/* The plain table, for --once and where stdout is no terminal. Returns 0 or -errno of the write. */
int view__print(struct view *v, FILE *to, const struct view_table *how);
#endif
