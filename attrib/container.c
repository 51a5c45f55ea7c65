// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "container.h"

#include <stddef.h>
#include <string.h>

#define ID_DIGITS 64
#define LXC "/lxc.payload."

/* The last run of exactly 64 hex digits: nested containers are named by the innermost. */
static const char *last_id(const char *path)
{
	const char *found = NULL;
	size_t run;

	while (*path) {
		run = strspn(path, "0123456789abcdef");
		if (run == ID_DIGITS)
			found = path;
		path += run ? run : 1;
	}
	return found;
}

char *container__of_cgroup(const char *path)
{
	const char *id = path ? last_id(path) : NULL;

	if (id)
		return strndup(id, ID_DIGITS);
	id = path ? strstr(path, LXC) : NULL;
	if (!id)
		return NULL;
	id += strlen(LXC);
	return strndup(id, strcspn(id, "/"));
}
