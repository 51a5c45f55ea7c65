// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "say.h"

/* What we made, in the order in which we made it; removed from the end. */
static struct {
	char *root;  /* DIR/wirewho; NULL: nothing is to be pinned */
	char **path; /* NULL: gone again */
	bool *is_dir;
	size_t n, room;
} pins;

/* 0, or why nothing can be pinned there. */
static int check_bpffs(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		return -errno;
	return fs.f_type == BPF_FS_MAGIC ? 0 : -EMEDIUMTYPE;
}

/* What is to hold our directory must be there: only that one is ours to make and to remove. */
static int check_dir(const char *dir)
{
	char *copy = strdup(pins.root);
	int err = copy ? check_bpffs(dirname(copy)) : -ENOMEM;

	free(copy);
	if (err == -EMEDIUMTYPE) {
		say(SAY_ERROR,
		    "pin to %s: it does not lie on a bpffs; take one from `findmnt -t bpf`, or `mount -t bpf bpf DIR`",
		    dir);
		return -EINVAL;
	}
	return err ? fail(err, "`findmnt -t bpf` lists where pins can be", "pin to %s", dir) : 0;
}

static int remember(const char *path, bool is_dir)
{
	size_t room = pins.room ? pins.room * 2 : 32;
	char **paths;
	bool *dirs;

	if (pins.n == pins.room) {
		paths = realloc(pins.path, room * sizeof(*paths));
		if (!paths)
			return -ENOMEM;
		pins.path = paths;
		dirs = realloc(pins.is_dir, room * sizeof(*dirs));
		if (!dirs)
			return -ENOMEM;
		pins.is_dir = dirs;
		pins.room = room;
	}
	pins.path[pins.n] = strdup(path);
	if (!pins.path[pins.n])
		return -ENOMEM;
	pins.is_dir[pins.n++] = is_dir;
	return 0;
}

static int make_dir(const char *path, bool may_exist)
{
	int err;

	if (mkdir(path, 0700)) {
		if (errno == EEXIST && may_exist)
			return 0;
		return fail(
			-errno,
			errno == EEXIST
				? "another run pins there; what a killed one left, `wirewho cleanup` removes"
				: NULL,
			"make the directory %s", path);
	}
	err = remember(path, true);
	if (err)
		rmdir(path);
	return err;
}

/* DIR/wirewho, or DIR if that is its name. */
static char *root_of(const char *dir)
{
	size_t n = strlen(dir), own = strlen(PIN_DIRECTORY);
	char *root;
	int done;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n > own && dir[n - own - 1] == '/' && !strncmp(dir + n - own, PIN_DIRECTORY, own))
		done = asprintf(&root, "%.*s", (int)n, dir);
	else
		done = asprintf(&root, "%.*s/" PIN_DIRECTORY, (int)n, dir);
	return done < 0 ? NULL : root;
}

int pins__open(const char *dir)
{
	int err;

	pins.root = root_of(dir);
	err = pins.root ? check_dir(dir) : -ENOMEM;
	if (!err)
		err = make_dir(pins.root, true);
	if (err)
		pins__close();
	return err;
}

/* A directory stays while something else is in it: another run's pins. */
static void remove_one(size_t i)
{
	int err = pins.is_dir[i] ? rmdir(pins.path[i]) : unlink(pins.path[i]);

	if (err && errno != ENOENT && errno != ENOTEMPTY)
		fail(-errno, "`wirewho cleanup` tries it again", "remove the pin %s", pins.path[i]);
	free(pins.path[i]);
	pins.path[i] = NULL;
}

/* Everything below this path, itself included; newest first. */
static void remove_below(const char *path)
{
	size_t i, n = strlen(path);

	for (i = pins.n; i-- > 0;)
		if (pins.path[i] && !strncmp(pins.path[i], path, n) &&
		    (!pins.path[i][n] || pins.path[i][n] == '/'))
			remove_one(i);
}

void pins__close(void)
{
	size_t i;

	for (i = pins.n; i-- > 0;)
		if (pins.path[i])
			remove_one(i);
	free(pins.path);
	free(pins.is_dir);
	free(pins.root);
	memset(&pins, 0, sizeof(pins));
}

/* DIR/NAME, the name's dots as underscores. */
static void join(char path[PATH_MAX], const char *dir, const char *name)
{
	size_t n = snprintf(path, PATH_MAX, "%s/", dir);

	snprintf(path + n, n < PATH_MAX ? PATH_MAX - n : 0, "%s", name);
	for (; n < PATH_MAX && path[n]; n++)
		if (path[n] == '.')
			path[n] = '_';
}

static int pin(const char *dir, const char *name, int fd)
{
	char path[PATH_MAX];

	if (fd < 0)
		return 0;
	join(path, dir, name);
	if (bpf_obj_pin(fd, path))
		return fail(-errno, NULL, "pin %s", path);
	return remember(path, false);
}

static int pin_programs(const char *dir, const struct bpf_object *obj)
{
	struct bpf_program *program;
	char sub[PATH_MAX];
	int err;

	join(sub, dir, "programs");
	err = make_dir(sub, false);
	bpf_object__for_each_program(program, obj)
	{
		if (!err)
			err = pin(sub, bpf_program__name(program), bpf_program__fd(program));
	}
	return err;
}

/* ".rodata" carries the object's name in front, cut somewhere: what is behind the dot says what it is. */
static const char *map_name(const struct bpf_map *map)
{
	const char *name = bpf_map__name(map), *dot = strchr(name, '.');

	return dot ? dot + 1 : name;
}

static int pin_maps(const char *dir, const struct bpf_object *obj)
{
	char sub[PATH_MAX];
	struct bpf_map *map;
	int err;

	join(sub, dir, "maps");
	err = make_dir(sub, false);
	bpf_object__for_each_map(map, obj)
	{
		if (!err)
			err = pin(sub, map_name(map), bpf_map__fd(map));
	}
	return err;
}

int pins__add(const char *name, const struct bpf_object *obj)
{
	char dir[PATH_MAX];
	int err;

	if (!pins.root)
		return 0;
	join(dir, pins.root, name);
	remove_below(dir);
	err = make_dir(dir, false);
	if (!err)
		err = pin_programs(dir, obj);
	if (!err)
		err = pin_maps(dir, obj);
	return err;
}
