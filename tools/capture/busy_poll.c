// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "busy_poll.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "xdp/netlink.h"
#include "xdp/say.h"

#define FOLDER "/run/wirewho"
#define PREFIX "busy-poll."
#define DEFER_USUAL 2
#define TIMEOUT_USUAL 200000
#define TRIES 3 /* somebody may remove the folder or the record that we are about to lock */

/* From <linux/netdev.h> of 6.8; the installed one may be older than the kernel. */
#define NETDEV_NAPI_GET 11
#define NETDEV_NAPI_IFINDEX 1

static const char *const knob[] = { "napi_defer_hard_irqs", "gro_flush_timeout" };

/* ---- sysfs ---- */

/*
 * The /sys that is mounted may be another network namespace's, with another interface of the same name: this is the present
 * one's own, mounted nowhere.
 */
static int own_sysfs(void)
{
	int fs = syscall(SYS_fsopen, "sysfs", FSOPEN_CLOEXEC), fd;

	if (fs < 0)
		return -errno;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = -errno;
	else if ((fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0)) < 0)
		fd = -errno;
	close(fs);
	return fd;
}

static int knob__open(int sysfs, const char *ifname, int which, int flags)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "class/net/%s/%s", ifname, knob[which]);
	fd = openat(sysfs, path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int knob__get(int sysfs, const char *ifname, int which, unsigned long *out)
{
	int fd = knob__open(sysfs, ifname, which, O_RDONLY), err = 0;
	char text[32] = "";

	if (fd < 0)
		return fd;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		err = -EIO;
	else
		*out = strtoul(text, NULL, 10);
	close(fd);
	return err;
}

static int knob__put(int sysfs, const char *ifname, int which, unsigned long value)
{
	int fd = knob__open(sysfs, ifname, which, O_WRONLY), err = 0;

	if (fd < 0)
		return fd;
	if (dprintf(fd, "%lu\n", value) < 0)
		err = -errno;
	close(fd);
	return err;
}

int busy_poll__read(const char *ifname, struct busy_poll_knobs *out)
{
	int sysfs = own_sysfs(), err;

	if (sysfs < 0)
		return sysfs;
	err = knob__get(sysfs, ifname, 0, &out->defer);
	if (!err)
		err = knob__get(sysfs, ifname, 1, &out->timeout);
	close(sysfs);
	return err;
}

static int write_knobs(const char *ifname, const struct busy_poll_knobs *k)
{
	int sysfs = own_sysfs(), err, second;

	if (sysfs < 0)
		return sysfs;
	err = knob__put(sysfs, ifname, 0, k->defer);
	second = knob__put(sysfs, ifname, 1, k->timeout);
	close(sysfs);
	return err ? err : second;
}

/* ---- the driver ---- */

static void take_family(void *to, const struct nlmsghdr *answer)
{
	if (answer->nlmsg_type == GENL_ID_CTRL)
		*(unsigned *)to = netlink__number(
			netlink__find(answer, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID));
}

static void count_napi(void *to, const struct nlmsghdr *answer)
{
	(void)answer;
	++*(unsigned *)to;
}

/* Has it an instance that can be polled? Kernels before 6.8 do not tell: then yes. */
static bool has_napi(uint32_t ifindex)
{
	struct netlink_request family = { .head = { .nlmsg_type = GENL_ID_CTRL },
					  .generic = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 } };
	struct netlink_request get = { .head = { .nlmsg_flags = NLM_F_DUMP },
				       .generic = { .cmd = NETDEV_NAPI_GET, .version = 1 } };
	unsigned id = 0, n = 0;

	netlink__put(&family, sizeof(family.generic), CTRL_ATTR_FAMILY_NAME, "netdev",
		     sizeof("netdev"));
	if (netlink__ask(NETLINK_GENERIC, &family, sizeof(family.generic), take_family, &id) || !id)
		return true;
	get.head.nlmsg_type = id;
	netlink__put(&get, sizeof(get.generic), NETDEV_NAPI_IFINDEX, &ifindex, sizeof(ifindex));
	return netlink__ask(NETLINK_GENERIC, &get, sizeof(get.generic), count_napi, &n) || n;
}

/* ---- the record ---- */

static uint64_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

/* Opened and locked, and still the file of that name. -EWOULDBLOCK: somebody else's. */
static int lock_record(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600), err;
	struct stat now, ours;

	if (fd < 0)
		return -errno;
	err = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
	if (!err && (stat(path, &now) || fstat(fd, &ours) || now.st_ino != ours.st_ino))
		err = -EAGAIN;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int make_record(const char *path)
{
	int fd = -EAGAIN, tries = TRIES;

	while (tries-- && (fd == -EAGAIN || fd == -ENOENT)) {
		if (mkdir(FOLDER, 0755) && errno != EEXIST)
			return -errno;
		fd = lock_record(path, O_CREAT);
	}
	return fd;
}

/* "NAME DEFER TIMEOUT"; false: nothing in it, the run was killed before it had set anything. */
static bool read_record(int fd, struct busy_poll_left *left)
{
	char text[128] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 &&
	       sscanf(text, "%15s %lu %lu", left->ifname, &left->was.defer, &left->was.timeout) ==
		       3;
}

static void forget(const char *path)
{
	unlink(path);
	rmdir(FOLDER); /* if that was the last */
}

static int fill_record(const struct busy_poll *b)
{
	if (ftruncate(b->fd, 0) || lseek(b->fd, 0, SEEK_SET) ||
	    dprintf(b->fd, "%s %lu %lu\n", b->ifname, b->was.defer, b->was.timeout) < 0)
		return -errno;
	return 0;
}

/* What a killed run has left counts as what was before. */
static int take_values(struct busy_poll *b)
{
	struct busy_poll_left left = {};

	if (read_record(b->fd, &left)) {
		b->was = left.was;
		return 0;
	}
	return busy_poll__read(b->ifname, &b->was);
}

/* ---- begin and end ---- */

static int complain(const char *ifname, int err)
{
	const char *hint = "this needs root, and kernel 5.11";

	if (err == -EOPNOTSUPP)
		hint = "its driver has no NAPI instance that could be polled: leave --busy-poll out";
	else if (err == -EWOULDBLOCK)
		hint = "another run has set it, and is still there";
	return fail(err, hint, "set busy polling on %s", ifname);
}

static int set(struct busy_poll *b)
{
	const struct busy_poll_knobs usual = { DEFER_USUAL, TIMEOUT_USUAL };
	int err = take_values(b);

	if (!err)
		err = fill_record(b);
	return err ? err : write_knobs(b->ifname, &usual);
}

int busy_poll__begin(struct busy_poll *b, const char *ifname)
{
	unsigned ifindex = if_nametoindex(ifname);
	int err;

	*b = (struct busy_poll)BUSY_POLL_NONE;
	if (!has_napi(ifindex))
		return complain(ifname, -EOPNOTSUPP);
	snprintf(b->ifname, sizeof(b->ifname), "%s", ifname);
	snprintf(b->record, sizeof(b->record), FOLDER "/" PREFIX "%llu.%u",
		 (unsigned long long)own_namespace(), ifindex);
	b->fd = make_record(b->record);
	if (b->fd < 0)
		return complain(ifname, b->fd);
	err = set(b);
	if (err) {
		busy_poll__end(b);
		return complain(ifname, err);
	}
	say(SAY_DETAIL, "%s: busy polling: %s %d (was %lu), %s %d ns (was %lu)", ifname, knob[0],
	    DEFER_USUAL, b->was.defer, knob[1], TIMEOUT_USUAL, b->was.timeout);
	return 0;
}

void busy_poll__end(struct busy_poll *b)
{
	struct busy_poll_left left = {};
	int err = 0;

	if (b->fd < 0)
		return;
	if (read_record(b->fd, &left) && if_nametoindex(b->ifname))
		err = write_knobs(b->ifname, &b->was);
	if (err)
		fail(err, "`wirewho cleanup` tries again", "put back %s and %s of %s", knob[0],
		     knob[1], b->ifname);
	else
		forget(b->record);
	close(b->fd);
	*b = (struct busy_poll)BUSY_POLL_NONE;
}

/* ---- what killed runs left ---- */

static void look(const char *path, unsigned ifindex,
		 void (*fn)(void *to, const char *path, const struct busy_poll_left *left),
		 void *to)
{
	struct busy_poll_left left = {};
	char name[IF_NAMESIZE];
	int fd = lock_record(path, 0);

	if (fd < 0 && fd != -EWOULDBLOCK)
		return;
	left.in_use = fd < 0;
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	left.gone = !read_record(fd, &left) || !if_indextoname(ifindex, name);
	if (!left.gone)
		memcpy(left.ifname, name, sizeof(left.ifname));
	close(fd);
	fn(to, path, &left);
}

int busy_poll__each(void (*fn)(void *to, const char *path, const struct busy_poll_left *left),
		    void *to)
{
	unsigned long long own = own_namespace(), ns;
	DIR *folder = opendir(FOLDER);
	struct dirent *e;
	unsigned ifindex;
	char path[320];

	if (!folder)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(folder))) {
		if (sscanf(e->d_name, PREFIX "%llu.%u", &ns, &ifindex) != 2 || ns != own)
			continue;
		snprintf(path, sizeof(path), FOLDER "/%s", e->d_name);
		look(path, ifindex, fn, to);
	}
	closedir(folder);
	return 0;
}

int busy_poll__restore(const char *path, const struct busy_poll_left *left)
{
	int fd = lock_record(path, 0), err = 0;

	if (fd < 0)
		return fd;
	if (!left->gone)
		err = write_knobs(left->ifname, &left->was);
	if (!err)
		forget(path);
	close(fd);
	return err;
}
