// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "rotate.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

static bool is_new_period(const struct rotate *r, time_t now)
{
	return r->seconds && (!r->number || now - r->since >= (time_t)r->seconds);
}

bool rotate__due(const struct rotate *r, uint64_t size, time_t now)
{
	return (r->bytes && size > r->bytes) || is_new_period(r, now);
}

bool rotate__is_over(const struct rotate *r)
{
	return r->seconds && r->files && r->number >= r->files;
}

static int digits(uint64_t most)
{
	int n = 0;

	for (; most; most /= 10)
		n++;
	return n;
}

static int number__print(const struct rotate *r, uint64_t part, const char *base, char *name,
			 size_t size)
{
	bool ring = r->bytes && r->files > 1;
	int n;

	if (ring)
		n = snprintf(name, size, "%s%0*llu", base, digits(r->files - 1),
			     (unsigned long long)(part % r->files));
	else if (part && !(r->bytes && r->files))
		n = snprintf(name, size, "%s%llu", base, (unsigned long long)part);
	else
		n = snprintf(name, size, "%s", base);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int rotate__next(struct rotate *r, time_t now, char *name, size_t size)
{
	bool period = is_new_period(r, now);
	time_t since = period ? now : r->since;
	uint64_t part = period || !r->number ? 0 : r->part + 1;
	char base[PATH_MAX];
	struct tm tm;
	int err;

	if (!r->seconds)
		err = snprintf(base, sizeof(base), "%s", r->path) < (int)sizeof(base)
			      ? 0
			      : -ENAMETOOLONG;
	else
		err = strftime(base, sizeof(base), r->path, localtime_r(&since, &tm))
			      ? 0
			      : -ENAMETOOLONG;
	if (!err)
		err = number__print(r, part, base, name, size);
	if (err)
		return err;
	r->since = since;
	r->part = part;
	r->number++;
	return 0;
}
