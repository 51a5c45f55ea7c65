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

static bool holds(struct part p, const char *text)
{
	return memmem(p.at, p.n, text, strlen(text));
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

/* ---- containers ---- */

static const struct {
	const char *before, *name; /* what stands before the 64 digits */
} runtimes[] = {
	{ "docker-", "docker" },
	{ "cri-containerd-", "containerd" },
	{ ":cri-containerd:", "containerd" },
	{ "nerdctl-", "containerd" },
	{ "crio-", "cri-o" },
	{ "libpod-", "podman" },
};

static const char *runtime_of(struct part parent, struct part before)
{
	size_t i;

	for (i = 0; i < sizeof(runtimes) / sizeof(*runtimes); i++)
		if (ends_with(before, runtimes[i].before))
			return runtimes[i].name;
	return !before.n && is(parent, "docker") ? "docker" : NULL;
}

/* ID, RUNTIME-ID.scope, or SLICE:RUNTIME:ID. */
static struct part id_in(struct part parent, struct part p, const char **runtime)
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
	*runtime = runtime_of(parent, front);
	return (struct part){ front.at + front.n, ID_DIGITS };
}

static struct part machine_in(struct part parent, struct part p)
{
	if (!is(parent, "machine.slice") || starts_with(p, "machine-qemu"))
		return (struct part){ 0 };
	if (starts_with(p, "machine-") && ends_with(p, ".scope"))
		return without(p, "machine-", ".scope");
	if (starts_with(p, "systemd-nspawn@") && ends_with(p, ".service"))
		return without(p, "systemd-nspawn@", ".service");
	return (struct part){ 0 };
}

static struct part name_in(struct part parent, struct part p, const char **runtime)
{
	*runtime = "lxc";
	if (starts_with(p, "lxc.payload."))
		return without(p, "lxc.payload.", "");
	if (is(parent, "lxc") || is(parent, "lxc.payload"))
		return p;
	*runtime = starts_with(p, "systemd-nspawn@") ? "systemd-nspawn" : NULL;
	return machine_in(parent, p);
}

/* ---- pods ---- */

/* podUID, or SLICE-podUID.slice with '_' for '-'; also SLICE-podUID.slice:RUNTIME:ID. */
static struct part pod_in(struct part p)
{
	struct part uid = { 0 };
	size_t i;

	for (i = 0; i + 3 < p.n; i++)
		if (!memcmp(p.at + i, "pod", 3) && (!i || p.at[i - 1] == '-'))
			uid = (struct part){ p.at + i + 3, 0 };
	while (uid.at && uid.at + uid.n < p.at + p.n &&
	       (isxdigit((unsigned char)uid.at[uid.n]) || uid.at[uid.n] == '-' ||
		uid.at[uid.n] == '_'))
		uid.n++;
	return uid;
}

/* ---- texts ---- */

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

static void keep(char **to, struct part p)
{
	if (p.n && !*to)
		*to = strndup(p.at, p.n);
}

static void keep_uid(char **to, struct part p)
{
	char *c;

	if (!p.n || *to)
		return;
	keep(to, p);
	for (c = *to; c && *c; c++)
		if (*c == '_')
			*c = '-';
}

/* ---- a path, part by part ---- */

/* What was found so far, from the outside inwards. */
struct found {
	struct part container, pod, unit, user_unit, slice, session;
	const char *runtime;
	bool kubernetes;
};

static void find_container(struct found *f, struct part parent, struct part p)
{
	const char *runtime;
	struct part id = id_in(parent, p, &runtime);

	if (!id.n)
		id = name_in(parent, p, &runtime);
	if (!id.n)
		return;
	f->container = id;
	f->runtime = runtime;
}

static void find_pod(struct found *f, struct part p)
{
	struct part pod;

	if (holds(p, "kubepods"))
		f->kubernetes = true;
	pod = f->kubernetes ? pod_in(p) : (struct part){ 0 };
	if (pod.n)
		f->pod = pod;
}

static void find_unit(struct found *f, struct part p)
{
	bool is_unit = ends_with(p, ".service") || ends_with(p, ".scope");

	if (f->container.n) /* what is inside is the container's own affair */
		return;
	if (ends_with(p, ".slice") && !f->unit.n)
		f->slice = p;
	if (is_unit && !f->unit.n)
		f->unit = p;
	else if (is_unit && !f->user_unit.n && starts_with(f->unit, "user@"))
		f->user_unit = p;
	if (is_unit && starts_with(p, "session-") && ends_with(p, ".scope"))
		f->session = without(p, "session-", ".scope");
}

void placement__add(struct placement *to, const char *path)
{
	struct part parent = { "", 0 }, p;
	struct found f = { 0 };

	while (path && *path) {
		path += strspn(path, "/");
		p = (struct part){ path, strcspn(path, "/") };
		find_container(&f, parent, p);
		find_pod(&f, p);
		find_unit(&f, p);
		parent = p;
		path += p.n;
	}
	if (f.container.n && !to->container) {
		to->container = unescaped(f.container);
		to->runtime = f.runtime;
	}
	keep_uid(&to->pod, f.pod);
	keep(&to->unit, f.unit);
	keep(&to->user_unit, f.user_unit);
	keep(&to->session, f.session);
	if (f.unit.n)
		keep(&to->slice, f.slice);
}

void placement__free(struct placement *p)
{
	free(p->container);
	free(p->pod);
	free(p->unit);
	free(p->user_unit);
	free(p->slice);
	free(p->session);
	*p = (struct placement){ 0 };
}
