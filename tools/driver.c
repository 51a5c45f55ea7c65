// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tools/driver.h"

static struct count plus(struct count a, const struct count *to, const struct count *from)
{
	return (struct count){ a.packets + to->packets - from->packets,
			       a.bytes + to->bytes - from->bytes };
}

void driver_watch__begin(struct driver_watch *d, const struct count *before,
			 const struct count *attached)
{
	d->before = *before;
	d->attached = d->attached_still = d->now = *attached;
}

/* A device on its way out may have forgotten a part (a veth its peer's): counters never go back. */
void driver_watch__see(struct driver_watch *d, const struct count *now)
{
	if (now->packets >= d->now.packets)
		d->attached_still = d->now = *now;
}

void driver_watch__end(struct driver_watch *d, const struct count *now)
{
	if (now->packets >= d->now.packets)
		d->now = *now;
}

void driver_watch__gone(struct driver_watch *d)
{
	const struct count none = {};

	d->past = driver_watch__range(d);
	driver_watch__begin(d, &none, &none);
}

struct driver_range driver_watch__range(const struct driver_watch *d)
{
	return (struct driver_range){
		.least = plus(d->past.least, &d->attached_still, &d->attached),
		.most = plus(d->past.most, &d->now, &d->before),
	};
}
