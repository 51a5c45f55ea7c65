/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SCREEN_H
#define WIREWHO_SCREEN_H
/*
 * The live table of `top`, redrawn in place; where stdout is no terminal, the same table printed one below the
 * other. Owns no event loop: the caller waits for screen__fd() among its other descriptors.
 *
 * While it is open and stderr is the same terminal, lines written to stderr are held back: the last one stands at
 * the bottom of the screen, and all are written when it closes.
 */
#include <stdbool.h>
#include "output.h"
#include "view.h"

struct screen;

/* What the keys change; the first values are the caller's. */
struct screen_state {
	enum view_by by;
	enum view_sort sort;
	bool paused; /* the caller should not end the view's interval meanwhile */
};

enum screen_event { SCREEN_NOTHING, SCREEN_REDRAW, SCREEN_QUIT };

struct screen_opts {
	struct screen_state state;
	size_t most; /* rows; 0: as many as there is room for, or all when printed */
	bool plain;  /* print, even on a terminal */
};

/* 0 or -errno (said). */
int screen__open(struct screen **out, const struct screen_opts *opts);
/* Gives the terminal back as it was; also done at exit(), should nobody have called it. NULL is fine. */
void screen__close(struct screen *s);

/* Readable when there is a key or the terminal changed its size; -1 where neither can happen. */
int screen__fd(const struct screen *s);
/* Takes one key, or the new size, without waiting. Call until it answers SCREEN_NOTHING. */
enum screen_event screen__key(struct screen *s);
const struct screen_state *screen__state(const struct screen *s);

/* Draws the view's last interval, and the ledger so far. 0, or -errno when printing failed (said). */
int screen__draw(struct screen *s, struct view *v, const struct ledger *ledger,
		 const struct run_facts *facts);
#endif
