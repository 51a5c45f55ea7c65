// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "container.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ID_DIGITS 64

/* A part of a path: bytes that lie elsewhere. */
struct part {
	const char *at;
	size_t n;
};

static bool starts_with(struct part p, const char *text)
{
	return p.n > strlen(text) && !memcmp(p.at, text, strlen(text));
}

static bool ends_with(struct part p, const char *text)
{
	return p.n >= strlen(text) && !memcmp(p.at + p.n - strlen(text), text, strlen(text));
}

static bool is(struct part p, const char *text)
{
	return p.n == strlen(text) && !memcmp(p.at, text, p.n);
}

static struct part without(struct part p, const char *prefix, const char *suffix)
{
	if (starts_with(p, prefix)) {
		p.at += strlen(prefix);
		p.n -= strlen(prefix);
	}
	if (ends_with(p, suffix))
		p.n -= strlen(suffix);
	return p;
}

/* ID, RUNTIME-ID.scope, or SLICE:RUNTIME:ID. */
static struct part id_in(struct part p)
{
	struct part front = without(p, "", ".scope"), id = { 0 };

	if (front.n < ID_DIGITS)
		return id;
	front.n -= ID_DIGITS;
	if (front.n && front.at[front.n - 1] != '-' && front.at[front.n - 1] != ':')
		return id;
	if (strspn(front.at + front.n, "0123456789abcdef") != ID_DIGITS ||
	    ends_with(front, "conmon-"))
		return id;
	return (struct part){ front.at + front.n, ID_DIGITS };
}

static struct part name_in(struct part parent, struct part p)
{
	if (starts_with(p, "lxc.payload."))
		return without(p, "lxc.payload.", "");
	if (is(parent, "lxc") || is(parent, "lxc.payload"))
		return p;
	if (!is(parent, "machine.slice") || starts_with(p, "machine-qemu"))
		return (struct part){ 0 };
	if (starts_with(p, "machine-") && ends_with(p, ".scope"))
		return without(p, "machine-", ".scope");
	if (starts_with(p, "systemd-nspawn@") && ends_with(p, ".service"))
		return without(p, "systemd-nspawn@", ".service");
	return (struct part){ 0 };
}

/* systemd writes bytes that a unit's name cannot hold as \xHH. */
static char *unescaped(struct part p)
{
	char *out = malloc(p.n + 1), *to = out;
	size_t i;

	for (i = 0; out && i < p.n; i++) {
		const char *at = p.at + i;

		if (p.n - i >= 4 && at[0] == '\\' && at[1] == 'x' &&
		    isxdigit((unsigned char)at[2]) && isxdigit((unsigned char)at[3])) {
			char digits[3] = { at[2], at[3] };

			*to++ = (char)strtol(digits, NULL, 16);
			i += 3;
		} else {
			*to++ = *at;
		}
	}
	if (out)
		*to = 0;
	return out;
}

char *container__of_cgroup(const char *path)
{
	struct part parent = { "", 0 }, p, id, found = { 0 };

	while (path && *path) {
		path += strspn(path, "/");
		p = (struct part){ path, strcspn(path, "/") };
		id = id_in(p);
		if (!id.n)
			id = name_in(parent, p);
		if (id.n)
			found = id;
		parent = p;
		path += p.n;
	}
	return found.n ? unescaped(found) : NULL;
}
