/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ROOM_H
#define WIREWHO_ROOM_H
/* Where benches measure, and what they make of many measurements. */
#include <jansson.h>
#include <stddef.h>

/*
 * A veth pair, both ends up and silent, in a network namespace of the calling process' own. It has no name: it is gone when
 * the process ends, however it ends. 0 or -errno (said).
 */
int room__open(const char *out_end, const char *in_end);

/* Lets an end take frames that come without a stack, also while it has no XDP program (GRO). 0 or -errno (said). */
int room__receive(const char *in_end);

/*
 * For files in memory: on a virtual machine each page that was free for a while costs a fault in the host when it is touched, more
 * than anything else that is measured here. So memory for so many seconds of writing is touched beforehand.
 */
void room__warm(unsigned seconds);

struct middle {
	double median, low, high;
};

#define MIDDLE_MOST 64

struct middle middle(const double *value, size_t n); /* at most MIDDLE_MOST */
json_t *middle__json(struct middle m);
#endif
