// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "say.h"

/* Of newer linux/bpf.h (kernel commits e420bed02507, 053c8e1f235d): BPF_TCX_INGRESS, BPF_TCX_EGRESS, BPF_F_BEFORE. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS 47
#define BEFORE_ALL (1u << 3)

static int attach_tcx(struct tc_place *t, int program)
{
	bool egress = t->side == TC_EGRESS;
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = egress ? 0 : BEFORE_ALL);

	t->tcx = bpf_link_create(program, (int)t->ifindex,
				 egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS, &opts);
	return t->tcx < 0 ? -errno : 0;
}

static enum bpf_tc_attach_point clsact_point(const struct tc_place *t)
{
	return t->side == TC_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

static int attach_clsact(struct tc_place *t, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)t->ifindex, .attach_point = clsact_point(t));
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	err = bpf_tc_attach(&hook, &filter);
	if (err)
		return err;
	t->clsact = true;
	t->handle = filter.handle;
	t->priority = filter.priority;
	return 0;
}

static int complain(const struct tc_place *t, const char *ifname, int err)
{
	char hint[64];

	snprintf(hint, sizeof(hint), "see `wirewho doctor -i %s`", ifname);
	return fail(err, err == -EPERM ? "run as root, or with CAP_BPF and CAP_NET_ADMIN" : hint,
		    "attach tc %s to %s", t->side == TC_EGRESS ? "egress" : "ingress", ifname);
}

int tc__attach(struct tc_place *t, enum tc_side side, int program, unsigned ifindex,
	       const char *ifname)
{
	const char *what = side == TC_EGRESS ? "sent" : "received";
	int err;

	*t = (struct tc_place){ .ifindex = ifindex, .side = side, .tcx = -1 };
	err = attach_tcx(t, program);
	if (!err)
		return 0;
	if (err == -EPERM || err == -ENODEV)
		return complain(t, ifname, err);
	say(SAY_NOTE,
	    "%s: no tcx here (%s): counting what is %s by a clsact filter, which outlives a killed run; `wirewho cleanup` removes it",
	    ifname, strerror(-err), what);
	err = attach_clsact(t, program);
	return err ? complain(t, ifname, err) : 0;
}

static void detach_clsact(struct tc_place *t)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)t->ifindex, .attach_point = clsact_point(t));
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = t->handle, .priority = t->priority);

	bpf_tc_detach(&hook, &filter);
	t->clsact = false;
}

void tc__detach(struct tc_place *t)
{
	if (t->tcx >= 0)
		close(t->tcx);
	t->tcx = -1;
	if (t->clsact)
		detach_clsact(t);
}
