// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * wirewho cleanup: removes what a killed run left behind, and puts back what it had set. What is ours is known by its program's name (XDP, tc) or its
 * directory's (pins); what a living process still holds is in use, and stays.
 */
#include "verbs.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <ftw.h>
#include <mntent.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tools/capture/busy_poll.h"
#include "tools/hooks.h"
#include "tools/leftovers.h"
#include "tools/opt.h"
#include "xdp/pin.h"
#include "xdp/say.h"

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

static int clean__interfaces(struct leftovers *c)
{
	struct if_nameindex *all = if_nameindex();

	if (!all)
		return fail(-errno, NULL, "list the network interfaces");
	for (struct if_nameindex *i = all; i->if_index; i++) {
		leftovers__of_interface(c, i->if_index, i->if_name);
	}
	if_freenameindex(all);
	return 0;
}

/* ---- pins ---- */

/* nftw() hands nothing through. */
static struct leftovers *walking;
static size_t walking_from; /* length of the mount point's path */

static int pin__remove(const void *path)
{
	return unlink(path) ? -errno : 0;
}

static void clean__pin(struct leftovers *c, const char *path)
{
	static const char *const kinds[] = { "program", "map", "link" };
	char what[TEXT_MAX];
	struct finding f = { .what = what, .remove = pin__remove, .arg = path };
	int fd = bpf_obj_get(path);
	int err = fd < 0 ? -errno : hooks__object(fd, &f.kind, &f.id);

	if (fd >= 0)
		close(fd);
	if (err == -ENOENT) /* whose it was has removed it just now */
		return;
	if (err) {
		fail(err, err == -EPERM || err == -EACCES ? "run as root" : NULL,
		     "look at the pin %s", path);
		c->failed++;
		return;
	}
	snprintf(what, sizeof(what), "pinned %s %s (id %u)", kinds[f.kind], path, f.id);
	leftovers__handle(c, &f);
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
	else if (type == FTW_DP && !walking->dry && rmdir(path) && errno != ENOTEMPTY &&
		 errno != ENOENT) {
		fail(-errno, NULL, "remove the directory %s", path);
		walking->failed++;
	}
	return 0;
}

static int clean__pins(struct leftovers *c)
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
	struct leftovers *c = to;
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

static int clean(struct leftovers *c)
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
	struct leftovers c = { 0 };
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
