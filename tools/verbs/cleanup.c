// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * wirewho cleanup: removes what a killed run left behind, and puts back what it had set. What is ours is known by its program's name (XDP, tc) or its
 * directory's (pins); what a living process still holds is in use, and stays.
 */
#include "verbs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ftw.h>
#include <linux/if_link.h>
#include <mntent.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "tools/capture/busy_poll.h"
#include "tools/hooks.h"
#include "tools/opt.h"
#include "xdp/pin.h"
#include "xdp/say.h"

#define BUSY_TRIES 20 /* of 50 ms: a link whose owner has just died */
#define TEXT_MAX 320

static const struct usage usage = {
	.verb = "cleanup",
	.synopsis = "[-n] [-v]",
	.about =
		"Removes the XDP and tc programs of killed runs from all interfaces of this network "
		"namespace, and their pinned objects from every mounted bpffs; puts back what --busy-poll "
		"had set. What a living process "
		"holds is left alone, and so is whatever is not wirewho's.",
	.examples = "wirewho cleanup -n                    what would be removed\n"
		    "ip netns exec blue wirewho cleanup    in another network namespace",
};

struct cleanup {
	bool dry, verbose;
	unsigned removed, kept, failed;
};

/* What was found: "XDP program wirewho_meter (id 7) on eth0". Removed by `remove`, 0 or -errno. */
struct finding {
	const char *what;
	enum held kind;
	uint32_t id;
	int (*remove)(const void *arg);
	const void *arg;
};

static void handle(struct cleanup *c, const struct finding *f)
{
	char holder[64];
	int err = 0;

	if (hooks__holder(f->kind, f->id, holder, sizeof(holder))) {
		printf("left      %s: in use by %s\n", f->what, holder);
		c->kept++;
		return;
	}
	if (!c->dry)
		err = f->remove(f->arg);
	if (err) {
		fail(err, NULL, "remove %s", f->what);
		c->failed++;
		return;
	}
	printf("%s %s\n", c->dry ? "would remove" : "removed  ", f->what);
	c->removed++;
}

static void not_ours(const struct cleanup *c, const char *what)
{
	if (c->verbose)
		printf("left      %s: not ours\n", what);
}

/* ---- XDP ---- */

struct xdp_place {
	unsigned ifindex;
	bool generic;
	uint32_t id;
};

static int xdp__detach_once(const struct xdp_place *x)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = bpf_prog_get_fd_by_id(x->id));
	__u32 mode = x->generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	int err;

	if (opts.old_prog_fd < 0)
		return -errno;
	/* Only if it is still the same program: somebody may have put another one there. */
	err = bpf_xdp_detach((int)x->ifindex, mode | XDP_FLAGS_REPLACE, &opts);
	close(opts.old_prog_fd);
	return err;
}

/* Busy means attached by a link, and a link without an owner is about to go by itself. */
static int xdp__detach(const void *arg)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	const struct xdp_place *x = arg;
	struct xdp_hook now;
	int err = xdp__detach_once(x);

	for (int i = 0; err == -EBUSY && i < BUSY_TRIES; i++) {
		nanosleep(&pause, NULL);
		err = hooks__xdp(x->ifindex, &now);
		if (err || now.program.id != x->id)
			return err;
		err = xdp__detach_once(x);
	}
	return err == -ENOENT ? 0 : err;
}

static int xdp__detach_member(const void *arg)
{
	const struct xdp_place *x = arg;
	struct xdp_program *p = xdp_program__from_id(x->id);
	int err = (int)libxdp_get_error(p);

	if (err)
		return err;
	err = xdp_program__detach(p, (int)x->ifindex, x->generic ? XDP_MODE_SKB : XDP_MODE_NATIVE,
				  0);
	xdp_program__close(p);
	return err;
}

static void clean__xdp_program(struct cleanup *c, const char *ifname, const struct xdp_place *x,
			       const struct program *p, bool member)
{
	char what[TEXT_MAX];

	snprintf(what, sizeof(what), "XDP program %s (id %u, %s%s) on %s", p->name, p->id,
		 x->generic ? "generic" : "native", member ? ", in the dispatcher" : "", ifname);
	if (strcmp(p->name, METER_NAME))
		return not_ours(c, what);
	handle(c, &(struct finding){ .what = what,
				     .kind = HELD_PROGRAM,
				     .id = p->id,
				     .remove = member ? xdp__detach_member : xdp__detach,
				     .arg = x });
}

static void clean__xdp(struct cleanup *c, unsigned ifindex, const char *ifname)
{
	struct xdp_hook hook;
	int err = hooks__xdp(ifindex, &hook);
	struct xdp_place place = { .ifindex = ifindex, .generic = hook.generic };

	if (!err && hook.program.id && !strcmp(hook.program.name, "?"))
		err = -EPERM;
	if (err) {
		fail(err, "run as root", "look at the XDP programs of %s", ifname);
		c->failed++;
		return;
	}
	if (hook.members_err) {
		fail(hook.members_err,
		     "its pins are in another mount namespace, perhaps: `nsenter --net=/run/netns/NAME "
		     "wirewho cleanup` enters the network namespace only",
		     "see what libxdp's dispatcher runs on %s", ifname);
		c->failed++;
		return;
	}
	if (hook.dispatcher && !hook.members)
		say(SAY_NOTE,
		    "libxdp's dispatcher on %s runs nothing; it is not ours, and `ip link set dev %s "
		    "xdp%s off` removes it",
		    ifname, ifname, hook.generic ? "generic" : "drv");
	place.id = hook.program.id;
	if (place.id && !hook.dispatcher)
		clean__xdp_program(c, ifname, &place, &hook.program, false);
	for (unsigned i = 0; i < hook.members; i++) {
		place.id = hook.member[i].id;
		clean__xdp_program(c, ifname, &place, &hook.member[i], true);
	}
}

/* ---- tc ---- */

struct filter_place {
	unsigned ifindex;
	const struct tc_filter *filter;
};

static int filter__remove(const void *arg)
{
	const struct filter_place *f = arg;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)f->ifindex, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->filter->handle,
		    .priority = f->filter->priority);

	return bpf_tc_detach(&hook, &opts);
}

static void clean__filters(struct cleanup *c, unsigned ifindex, const char *ifname)
{
	struct tc_filter list[HOOKS_MAX];
	int n = hooks__filters(ifindex, true, list);
	char what[TEXT_MAX];

	if (n < 0) {
		fail(n, "run as root", "look at the tc filters of %s", ifname);
		c->failed++;
	}
	for (int i = 0; i < n; i++) {
		struct filter_place place = { ifindex, &list[i] };

		snprintf(what, sizeof(what), "tc egress filter %s (id %u, pref %u) on %s",
			 list[i].program.name, list[i].program.id, list[i].priority, ifname);
		if (strcmp(list[i].program.name, EGRESS_NAME))
			not_ours(c, what);
		else
			handle(c, &(struct finding){ .what = what,
						     .kind = HELD_PROGRAM,
						     .id = list[i].program.id,
						     .remove = filter__remove,
						     .arg = &place });
	}
}

static int clean__interfaces(struct cleanup *c)
{
	struct if_nameindex *all = if_nameindex();

	if (!all)
		return fail(-errno, NULL, "list the network interfaces");
	for (struct if_nameindex *i = all; i->if_index; i++) {
		clean__xdp(c, i->if_index, i->if_name);
		clean__filters(c, i->if_index, i->if_name);
	}
	if_freenameindex(all);
	return 0;
}

/* ---- pins ---- */

/* nftw() hands nothing through. */
static struct cleanup *walking;
static size_t walking_from; /* length of the mount point's path */

static int pin__remove(const void *path)
{
	return unlink(path) ? -errno : 0;
}

static void clean__pin(struct cleanup *c, const char *path)
{
	static const char *const kinds[] = { "program", "map", "link" };
	char what[TEXT_MAX];
	struct finding f = { .what = what, .remove = pin__remove, .arg = path };
	int fd = bpf_obj_get(path);
	int err = fd < 0 ? -errno : hooks__object(fd, &f.kind, &f.id);

	if (fd >= 0)
		close(fd);
	if (err) {
		fail(err, "run as root", "look at the pin %s", path);
		c->failed++;
		return;
	}
	snprintf(what, sizeof(what), "pinned %s %s (id %u)", kinds[f.kind], path, f.id);
	handle(c, &f);
}

/* In a directory of our name, wherever on this bpffs, or that directory itself. */
static bool is_ours(const char *path, bool is_dir)
{
	static const char name[] = "/" PIN_DIRECTORY;
	const char *at = path + walking_from;

	while ((at = strstr(at, name))) {
		at += sizeof(name) - 1;
		if (*at == '/' || (!*at && is_dir))
			return true;
	}
	return false;
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (!is_ours(path, type == FTW_DP))
		return 0;
	if (type == FTW_F)
		clean__pin(walking, path);
	/* A directory goes when it is empty: it is not when something in it is in use. */
	else if (type == FTW_DP && !walking->dry && rmdir(path) && errno != ENOTEMPTY) {
		fail(-errno, NULL, "remove the directory %s", path);
		walking->failed++;
	}
	return 0;
}

static int clean__pins(struct cleanup *c)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *m;

	if (!mounts)
		return fail(-errno, NULL, "read /proc/self/mounts");
	walking = c;
	while ((m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "bpf"))
			continue;
		walking_from = strlen(m->mnt_dir);
		nftw(m->mnt_dir, on_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	}
	endmntent(mounts);
	return 0;
}

/* ---- busy polling ---- */

static void clean__busy_poll(void *to, const char *path, const struct busy_poll_left *left)
{
	struct cleanup *c = to;
	int err = 0;

	if (left->in_use) {
		printf("left      busy polling on %s: in use by a capture\n", left->ifname);
		c->kept++;
		return;
	}
	if (!c->dry)
		err = busy_poll__restore(path, left);
	if (err) {
		fail(err, "run as root", "put back what busy polling has changed on %s",
		     left->ifname);
		c->failed++;
		return;
	}
	printf("%s busy polling on %s: napi_defer_hard_irqs %lu, gro_flush_timeout %lu again%s\n",
	       c->dry ? "would remove" : "removed  ", left->ifname, left->was.defer,
	       left->was.timeout, left->gone ? " (it is gone)" : "");
	c->removed++;
}

static int clean(struct cleanup *c)
{
	int err;

	hooks__hush();
	/* Pins first: what they hold goes with them, links and their programs at once. */
	err = clean__pins(c);
	if (!err)
		err = clean__interfaces(c);
	if (!err)
		err = busy_poll__each(clean__busy_poll, c);
	if (!err && !c->removed && !c->kept && !c->failed)
		printf("nothing of ours is left here\n");
	return err || c->failed ? 1 : 0;
}

int verb_cleanup(int argc, char **argv)
{
	struct cleanup c = { 0 };
	const struct opt opts[] = {
		{ 'n', "dry-run", NULL, "say what would be removed, and remove nothing", OPT_FLAG,
		  &c.dry, 0, 0, NULL },
		{ 'v', "verbose", NULL, "say also what was left because it is not ours", OPT_FLAG,
		  &c.verbose, 0, 0, NULL },
		{ 0 },
	};
	int first = opt__parse(argc, argv, &usage, opts);

	if (first == OPT_HELPED)
		return 0;
	if (first >= 0 && first < argc)
		say(SAY_ERROR,
		    "cleanup takes no argument, but got '%.80s'; try 'wirewho cleanup --help'",
		    argv[first]);
	return first < 0 || first < argc ? 2 : clean(&c);
}
