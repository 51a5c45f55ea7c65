// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cgroup2.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int mounted(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *m;
	int fd = -ENOENT;

	if (!mounts)
		return -errno;
	while (fd < 0 && (m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "cgroup2"))
			continue;
		fd = open(m->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	endmntent(mounts);
	return fd;
}

static int detached(void)
{
	int fs = syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC), fd;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = -errno;
	else if ((fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0)) < 0)
		fd = -errno;
	close(fs);
	return fd;
}

static ssize_t path_of(int fd, char *path, size_t size)
{
	char self[64];
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = readlink(self, path, size - 1);
	path[n > 0 ? n : 0] = 0;
	return n;
}

/* kernfs takes the id itself as a file handle (kernel commit aa8188253474, 5.5). */
static int open_by_id(int root, uint64_t id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} u = { .handle = { .handle_bytes = sizeof(id), .handle_type = 0xfe } };

	int real = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (real < 0) /* that of a mount of its own is an O_PATH one, which will not do */
		return -1;
	memcpy(u.room + sizeof(struct file_handle), &id, sizeof(id));
	fd = open_by_handle_at(real, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(real);
	return fd;
}

char *cgroup2__path(int root, uint64_t id)
{
	char above[PATH_MAX], path[PATH_MAX];
	int fd = open_by_id(root, id);
	ssize_t n, skip;

	if (fd < 0)
		return NULL;
	skip = path_of(root, above, sizeof(above));
	n = path_of(fd, path, sizeof(path));
	close(fd);
	if (skip == 1) /* "/" */
		skip = 0;
	if (skip < 0 || n < skip || strncmp(path, above, skip))
		return NULL;
	return strdup(path[skip] ? path + skip : "/");
}

int cgroup2__root(void)
{
	int fd = mounted();

	return fd >= 0 ? fd : detached();
}
