/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_DRIVER_H
#define WIREWHO_DRIVER_H
/*
 * What an interface's driver counted while we watched it. Attaching and detaching take a moment in which it counts on, so
 * it is a range: at least what came from after the one until before the other, at most what came from before to after.
 */
#include <stdbool.h>
#include "xdp/flow.h"

struct driver_range {
	struct count least, most;
};

/* One direction's counters of the driver, at four moments; past: of former lives of the interface. */
struct driver_watch {
	struct count before, attached, attached_still, now;
	struct driver_range past;
};

void driver_watch__begin(struct driver_watch *d, const struct count *before,
			 const struct count *attached);
void driver_watch__see(struct driver_watch *d, const struct count *now); /* we are attached */
void driver_watch__end(struct driver_watch *d, const struct count *now); /* not any more */
void driver_watch__gone(struct driver_watch *d); /* this life of the interface is over */

struct driver_range driver_watch__range(const struct driver_watch *d);
#endif
