// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "probe.h"
#include "say.h"

const char *receive_mode__name(enum receive_mode mode)
{
	static const char *const name[] = { "auto", "native", "generic", "tc" };

	return name[mode];
}

const char *attach_how__name(enum attach_how how)
{
	static const char *const name[] = { "not attached", "dispatcher", "direct", "tcx",
					    "clsact" };

	return name[how];
}

/* Where libxdp keeps a dispatcher and its programs. */
static bool has_bpffs(void)
{
	const char *path = getenv("LIBXDP_BPFFS");
	struct statfs fs;

	return !statfs(path ? path : "/sys/fs/bpf", &fs) && fs.f_type == BPF_FS_MAGIC;
}

bool attach__is_chained(void)
{
	static bool said;
	int err = probe__dispatcher();

	if (!err && has_bpffs())
		return true;
	if (!said && err)
		say(SAY_NOTE,
		    "libxdp's dispatcher cannot be loaded here (%s): attaching directly, so no other XDP "
		    "program can share the interface; see `wirewho doctor`",
		    strerror(-err));
	else if (!said)
		say(SAY_NOTE,
		    "libxdp's dispatcher needs a bpffs, and none is at /sys/fs/bpf: attaching directly, so no "
		    "other XDP program can share the interface; `mount -t bpf bpf /sys/fs/bpf` first");
	said = true;
	return false;
}

/* By the number of the verdict. */
static const char *const actions[] = { "aborted", "drop", "pass", "tx", "redirect" };
#define ACTIONS (sizeof(actions) / sizeof(*actions))

static int action__number(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < ACTIONS; i++)
		if (strlen(actions[i]) == length && !strncmp(actions[i], text, length))
			return (int)i;
	return -EINVAL;
}

int chain__parse_actions(struct chain *c, const char *text)
{
	unsigned set = 0;
	int action;

	for (;; text++) {
		size_t length = strcspn(text, ",");

		action = action__number(text, length);
		if (action < 0)
			return action;
		set |= 1u << action;
		text += length;
		if (!*text)
			break;
	}
	c->actions = set;
	return 0;
}

static int chain__set(struct xdp_program *program, const struct chain *c)
{
	int err = xdp_program__set_run_prio(program, c->priority);
	unsigned i;

	for (i = 0; i < ACTIONS && !err; i++)
		err = xdp_program__set_chain_call_enabled(program, i, c->actions >> i & 1);
	return err;
}

/* Whether the programs that are there already take frames in several pieces. One that does not keeps all of them out. */
static bool chain__is_whole(const struct attachment *a)
{
	struct xdp_multiprog *list = xdp_multiprog__get_from_ifindex(a->ifindex);
	bool whole;

	if (libxdp_get_error(list))
		return false;
	whole = !xdp_multiprog__is_legacy(list) && !xdp_multiprog__xdp_frags_support(list);
	xdp_multiprog__close(list);
	return whole;
}

static int chain__join(const struct attachment *a, struct xdp_program *program,
		       const struct chain *chain)
{
	int err = chain__set(program, chain);

	if (err || !chain__is_whole(a))
		return err;
	say(SAY_NOTE,
	    "%s: an XDP program that stands there takes no frame in several pieces, so neither can ours: "
	    "an MTU above 3506 is refused until it is gone",
	    a->ifname);
	return xdp_program__set_xdp_frags_support(program, false);
}

static int load_chained(struct attachment *a, struct bpf_object *obj, const char *name,
			const struct chain *chain)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .obj = obj, .prog_name = name);
	struct xdp_program *program = xdp_program__create(&opts);
	int err = libxdp_get_error(program);

	if (err)
		return fail(err, NULL, "prepare the XDP program for %s", a->ifname);
	err = chain__join(a, program, chain);
	if (err) {
		xdp_program__close(program);
		return fail(err, NULL, "give the XDP program its place in the chain of %s",
			    a->ifname);
	}
	a->program = program;
	a->how = ATTACH_DISPATCHER;
	return 0;
}

static int load_direct(struct attachment *a, struct bpf_object *obj, const char *name,
		       const char *kind)
{
	int err = bpf_object__load(obj);

	if (err)
		return fail(err, "run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
			    "load the %s program for %s", kind, a->ifname);
	a->prog_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, name));
	a->how = ATTACH_DIRECT;
	return 0;
}

static int find(struct attachment *a, const char *ifname)
{
	*a = (struct attachment)ATTACHMENT_NONE;
	snprintf(a->ifname, sizeof(a->ifname), "%s", ifname);
	a->ifindex = if_nametoindex(ifname);
	return a->ifindex
		       ? 0
		       : fail(-ENODEV, "`ip link` lists the interfaces of this network namespace",
			      "find interface %s", ifname);
}

int attach__load(struct attachment *a, struct bpf_object *obj, const char *name, const char *ifname,
		 const struct chain *chain)
{
	int err = find(a, ifname);

	if (err)
		return err;
	if (attach__is_chained())
		return load_chained(a, obj, name, chain);
	if (chain->asked)
		say(SAY_NOTE, "%s: no dispatcher, so --priority and --chain-actions change nothing",
		    ifname);
	return load_direct(a, obj, name, "XDP");
}

int attach__load_tc(struct attachment *a, struct bpf_object *obj, const char *name,
		    const char *ifname)
{
	int err = find(a, ifname);

	return err ? err : load_direct(a, obj, name, "tc ingress");
}

/* libxdp falls back to a plain attachment by itself, and only a look at the result tells. */
static void note_plain(const struct attachment *a)
{
	struct xdp_multiprog *list = xdp_multiprog__get_from_ifindex(a->ifindex);

	if (libxdp_get_error(list))
		return;
	if (xdp_multiprog__is_legacy(list))
		say(SAY_NOTE,
		    "%s: libxdp attached without its dispatcher: no other XDP program can share the "
		    "interface, and a killed run leaves ours behind for `wirewho cleanup`; see -v",
		    a->ifname);
	xdp_multiprog__close(list);
}

static int try_mode(struct attachment *a, enum receive_mode mode)
{
	bool generic = mode == RECEIVE_GENERIC;
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);

	a->mode = mode;
	if (a->how == ATTACH_DISPATCHER)
		return xdp_program__attach(a->program, a->ifindex,
					   generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
	a->link_fd = bpf_link_create(a->prog_fd, a->ifindex, BPF_XDP, &opts);
	return a->link_fd < 0 ? -errno : 0;
}

/* The program that stands in the way, for the error line: "NAME (id N)". False: there is none on the interface itself. */
static bool name_other(unsigned ifindex, char *text, size_t size)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);
	int fd;

	snprintf(text, size, "unknown");
	if (bpf_xdp_query(ifindex, 0, &query) || !query.prog_id)
		return false;
	fd = bpf_prog_get_fd_by_id(query.prog_id);
	if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length))
		snprintf(text, size, "%s (id %u)", info.name, query.prog_id);
	if (fd >= 0)
		close(fd);
	return true;
}

static bool is_taken(int err)
{
	return err == -EBUSY || err == -EEXIST;
}

/* dev_xdp_attach() in net/core/dev.c: without the driver's ndo_bpf there is no native XDP at all. */
static const char *why_not_native(int err)
{
	return err == -EOPNOTSUPP
		       ? "its driver has none"
		       : "its driver has it, but not for this MTU, or these queues and offloads";
}

static int complain(const struct attachment *a, int err)
{
	char hint[256], other[64];
	bool there = name_other(a->ifindex, other, sizeof(other));

	/* dev_xdp_attach() in net/core/dev.c: nothing below an interface that has one already. */
	if (is_taken(err) && !there)
		snprintf(
			hint, sizeof(hint),
			"an XDP program on an interface that stands on %s (a bond, a VLAN) is in the way: stop "
			"its owner, or watch that interface",
			a->ifname);
	else if (is_taken(err))
		snprintf(
			hint, sizeof(hint),
			"XDP program %s is attached there already: stop its owner, or `ip link set dev %s "
			"xdp off` if nobody needs it",
			other, a->ifname);
	else if (err == -EPERM)
		snprintf(hint, sizeof(hint), "run as root, or with CAP_BPF and CAP_NET_ADMIN");
	else if (a->mode == RECEIVE_NATIVE)
		snprintf(hint, sizeof(hint),
			 "%s: try --mode generic, and see `wirewho doctor -i %s`",
			 why_not_native(err), a->ifname);
	else
		snprintf(hint, sizeof(hint), "see `wirewho doctor -i %s`", a->ifname);
	return fail(err, hint, "attach XDP to %s (%s)", a->ifname, receive_mode__name(a->mode));
}

static bool worth_generic(int err)
{
	return !is_taken(err) && err != -EPERM && err != -ENODEV;
}

static int attach_tc(struct attachment *a)
{
	int err = tc__attach(&a->tc, TC_INGRESS, a->prog_fd, a->ifindex, a->ifname);

	a->mode = RECEIVE_TC;
	a->how = err ? ATTACH_NONE : a->tc.clsact ? ATTACH_CLSACT : ATTACH_TCX;
	return err;
}

static int attach_xdp(struct attachment *a, enum receive_mode want)
{
	int err = try_mode(a, want == RECEIVE_GENERIC ? want : RECEIVE_NATIVE);

	if (err && want == RECEIVE_AUTO && worth_generic(err)) {
		say(SAY_NOTE,
		    "%s: native XDP refused (%s): %s; using generic, which costs more for each packet; see "
		    "`wirewho doctor -i %s`",
		    a->ifname, strerror(-err), why_not_native(err), a->ifname);
		err = try_mode(a, RECEIVE_GENERIC);
	}
	if (err)
		return complain(a, err);
	if (a->how == ATTACH_DISPATCHER)
		note_plain(a);
	return 0;
}

int attach__on(struct attachment *a, enum receive_mode want)
{
	int err = want == RECEIVE_TC ? attach_tc(a) : attach_xdp(a, want);

	if (!err)
		say(SAY_DETAIL, "%s: attached to receive (%s, %s)", a->ifname,
		    receive_mode__name(a->mode), attach_how__name(a->how));
	return err;
}

static int detach_chained(struct attachment *a)
{
	bool generic = a->mode == RECEIVE_GENERIC;
	int err = 0;

	if (a->mode != RECEIVE_AUTO)
		err = xdp_program__detach(a->program, a->ifindex,
					  generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
	if (err && if_nametoindex(a->ifname) == a->ifindex)
		fail(err, "`wirewho cleanup` removes what is left", "detach XDP from %s",
		     a->ifname);
	xdp_program__close(a->program);
	return err;
}

int attach__off(struct attachment *a)
{
	int err = 0;

	if (a->how == ATTACH_DISPATCHER)
		err = detach_chained(a);
	if (a->link_fd >= 0)
		close(a->link_fd);
	tc__detach(&a->tc);
	*a = (struct attachment)ATTACHMENT_NONE;
	return err;
}
