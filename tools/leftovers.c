// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "leftovers.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "xdp/say.h"

#define BUSY_TRIES 20 /* of 50 ms: a link whose owner has just died */
#define TEXT_MAX 320
#define FIRST_PID_NAMESPACE "pid:[4026531836]" /* PROC_PID_INIT_INO of linux/proc_ns.h */

void leftovers__handle(struct leftovers *c, const struct finding *f)
{
	char holder[64];
	int err = 0;

	if (hooks__holder(f->kind, f->id, holder, sizeof(holder))) {
		if (!c->starting)
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
	if (c->starting)
		say(SAY_NOTE, "a killed run had left %s behind: removed", f->what);
	else
		printf("%s %s\n", c->dry ? "would remove" : "removed  ", f->what);
	c->removed++;
}

void leftovers__not_ours(const struct leftovers *c, const char *what)
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

static void clean__xdp_program(struct leftovers *c, const char *ifname, const struct xdp_place *x,
			       const struct program *p, bool member)
{
	char what[TEXT_MAX];

	snprintf(what, sizeof(what), "XDP program %s (id %u, %s%s) on %s", p->name, p->id,
		 x->generic ? "generic" : "native", member ? ", in the dispatcher" : "", ifname);
	if (strcmp(p->name, METER_NAME))
		return leftovers__not_ours(c, what);
	leftovers__handle(c, &(struct finding){ .what = what,
						.kind = HELD_PROGRAM,
						.id = p->id,
						.remove = member ? xdp__detach_member : xdp__detach,
						.arg = x });
}

static void clean__xdp(struct leftovers *c, unsigned ifindex, const char *ifname)
{
	struct xdp_hook hook;
	int err = hooks__xdp(ifindex, &hook);
	struct xdp_place place = { .ifindex = ifindex, .generic = hook.generic };

	if (!err && hook.program.id && !strcmp(hook.program.name, "?"))
		err = -EPERM;
	/* Before a run: attaching meets the same error, and says it. */
	if (err && c->starting)
		return;
	if (err) {
		fail(err, "run as root", "look at the XDP programs of %s", ifname);
		c->failed++;
		return;
	}
	if (hook.members_err && c->starting)
		return;
	if (hook.members_err) {
		fail(hook.members_err,
		     "its pins are in another mount namespace, perhaps: `nsenter --net=/run/netns/NAME "
		     "wirewho cleanup` enters the network namespace only",
		     "see what libxdp's dispatcher runs on %s", ifname);
		c->failed++;
		return;
	}
	if (hook.dispatcher && !hook.members && !c->starting)
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
	bool egress;
	const struct tc_filter *filter;
};

static int filter__remove(const void *arg)
{
	const struct filter_place *f = arg;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)f->ifindex,
		    .attach_point = f->egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->filter->handle,
		    .priority = f->filter->priority);

	return bpf_tc_detach(&hook, &opts);
}

static void clean__filters(struct leftovers *c, unsigned ifindex, const char *ifname, bool egress)
{
	const char *side = egress ? "egress" : "ingress";
	struct tc_filter list[HOOKS_MAX];
	int n = hooks__filters(ifindex, egress, list);
	char what[TEXT_MAX];

	if (n < 0 && !c->starting) {
		fail(n, "run as root", "look at the tc %s filters of %s", side, ifname);
		c->failed++;
	}
	for (int i = 0; i < n; i++) {
		struct filter_place place = { ifindex, egress, &list[i] };

		snprintf(what, sizeof(what), "tc %s filter %s (id %u, pref %u) on %s", side,
			 list[i].program.name, list[i].program.id, list[i].priority, ifname);
		if (strcmp(list[i].program.name, egress ? EGRESS_NAME : INGRESS_NAME))
			leftovers__not_ours(c, what);
		else
			leftovers__handle(c, &(struct finding){ .what = what,
								.kind = HELD_PROGRAM,
								.id = list[i].program.id,
								.remove = filter__remove,
								.arg = &place });
	}
}

void leftovers__of_interface(struct leftovers *c, unsigned ifindex, const char *ifname)
{
	clean__xdp(c, ifindex, ifname);
	clean__filters(c, ifindex, ifname, false);
	clean__filters(c, ifindex, ifname, true);
}

static bool sees_all_processes(void)
{
	char name[64];
	ssize_t n = readlink("/proc/self/ns/pid", name, sizeof(name) - 1);

	name[n < 0 ? 0 : n] = '\0';
	return !strcmp(name, FIRST_PID_NAMESPACE);
}

void leftovers__before_start(const char *ifname)
{
	struct leftovers c = { .starting = true };
	unsigned ifindex = if_nametoindex(ifname);

	if (ifindex && sees_all_processes())
		leftovers__of_interface(&c, ifindex, ifname);
}
