// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filter.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include "attrib/cgroup2.h"
#include "xdp/say.h"

static int take_user(struct trace_filter *f, const char *user)
{
	unsigned long long uid;
	struct passwd *p;

	f->by_uid = 1;
	if (isdigit((unsigned char)*user)) {
		if (opt__number(user, "--user", 0, UINT32_MAX - 1, &uid))
			return -EINVAL;
		f->uid = uid;
		return 0;
	}
	p = getpwnam(user);
	if (!p) {
		say(SAY_ERROR, "--user '%.80s': this host has no user of that name", user);
		return -EINVAL;
	}
	f->uid = p->pw_uid;
	return 0;
}

static int take_comm(struct trace_filter *f, const char *comm)
{
	if (!*comm || strlen(comm) >= sizeof(f->comm)) {
		say(SAY_ERROR,
		    "--comm '%.80s': the kernel keeps 1 to %zu bytes of a name; give those that ps -o comm shows",
		    comm, sizeof(f->comm) - 1);
		return -EINVAL;
	}
	f->by_comm = 1;
	strcpy(f->comm, comm);
	return 0;
}

static int take_cgroup(const char *path, int *cgroup)
{
	int root, err;

	if (*path != '/') {
		say(SAY_ERROR,
		    "--cgroup '%.80s': a path below the cgroup v2 root begins with /; /proc/PID/cgroup shows it after 0::",
		    path);
		return -EINVAL;
	}
	root = cgroup2__root();
	if (root < 0)
		return fail(root, "mount -t cgroup2 none DIR", "open the cgroup v2 hierarchy");
	path += strspn(path, "/");
	*cgroup = openat(root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = *cgroup < 0 ? -errno : 0;
	close(root);
	if (err)
		return fail(err, "/proc/PID/cgroup shows a process's path after 0::",
			    "open the cgroup /%.80s", path);
	return 0;
}

int who_opts__take(const struct who_opts *o, struct trace_filter *f, int *cgroup)
{
	int err = 0;

	*cgroup = -1;
	f->pid = o->pid;
	if (o->user)
		err = take_user(f, o->user);
	if (!err && o->comm)
		err = take_comm(f, o->comm);
	if (!err && o->cgroup)
		err = take_cgroup(o->cgroup, cgroup);
	f->by_cgroup = *cgroup >= 0;
	return err;
}

bool who_opts__any(const struct who_opts *o)
{
	return !o->pid && !o->user && !o->comm && !o->cgroup;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	while (n && top[n - 1] == '/')
		n--;
	return path && !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

bool who_opts__takes(const struct who_opts *o, const struct trace_filter *f, const struct who *who,
		     const struct process *p)
{
	if (f->pid && who->pid != f->pid)
		return false;
	if (f->by_uid && who->uid != f->uid)
		return false;
	if (f->by_comm && memcmp(who->comm, f->comm, sizeof(f->comm)) != 0)
		return false;
	return !f->by_cgroup || (p && is_below(p->cgroup, o->cgroup));
}
