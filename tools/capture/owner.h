/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CAPTURE_OWNER_H
#define WIREWHO_CAPTURE_OWNER_H
/*
 * Whose is a received packet? The owner programs' events, joined packet by packet. A packet should be asked for a little
 * later than it came, since the process that accepts a connection shows after its first packets; a socket that is closed
 * is remembered for longer than that, so that its last packets are still its own. All but open and close belongs to one
 * thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "attrib/process.h"

struct capture_owner;

#define CAPTURE_OWNER_HOLD_MS 100 /* how much later is a little later: this to twice as much */

/* Loads the owner programs, and learns who holds which socket now. Keeps `ifname`. 0 or -errno (said). */
int capture_owner__open(struct capture_owner **out, const char *const *ifname, unsigned links);
void capture_owner__close(struct capture_owner *o); /* NULL is fine */

int capture_owner__fd(const struct capture_owner
			      *o); /* readable when there is something for capture_owner__read() */
void capture_owner__read(struct capture_owner *o);

struct captured {
	const uint8_t *data;
	uint32_t caplen, length;
	uint16_t link;
	bool raw; /* no Ethernet header */
};

/* NULL and OWNER_NONE: nobody known. Good until the next capture_owner__read(). */
const struct process *capture_owner__of(struct capture_owner *o, const struct captured *c,
					enum owner_how *how);

uint64_t capture_owner__lost(const struct capture_owner *o); /* events that found no room */

#define OWNER_COMMENT_SIZE 512
/*
 * "pid=1 comm=a user=root how=exact", and where there is one "container=ID". A byte of a name that is not printable ASCII,
 * a space or a backslash is \xNN, so that the words can be told apart again. Returns the length.
 */
size_t owner_comment__print(char *to, size_t size, const struct process *p, enum owner_how how);
/* Takes such a comment apart: -EINVAL when it is none. Names are in `text`, which must live as long as *p. */
int owner_comment__parse(const char *comment, size_t length, char text[OWNER_COMMENT_SIZE],
			 struct process *p, enum owner_how *how);
#endif
