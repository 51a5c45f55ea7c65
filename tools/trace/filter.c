// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "state.h"

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

static int take_cgroup(struct trace *t, const char *path)
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
	t->cgroup = openat(root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = t->cgroup < 0 ? -errno : 0;
	close(root);
	if (err)
		return fail(err, "/proc/PID/cgroup shows a process's path after 0::",
			    "open the cgroup /%.80s", path);
	t->filter.by_cgroup = 1;
	return 0;
}

int filter__open(struct trace *t)
{
	const struct trace_opts *o = t->opts;
	int err = 0;

	t->filter.pid = o->pid;
	if (o->user)
		err = take_user(&t->filter, o->user);
	if (!err && o->comm)
		err = take_comm(&t->filter, o->comm);
	if (!err && o->cgroup)
		err = take_cgroup(t, o->cgroup);
	return err;
}
