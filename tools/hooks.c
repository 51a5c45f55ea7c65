// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "hooks.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include "xdp/netlink.h"
#include "xdp/say.h"

/* From <linux/bpf.h> of 6.6; the installed one may be older than the kernel. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define DISPATCHER_NAME "xdp_dispatcher"

static int print_bpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : say__library(level, format, args);
}

static int print_xdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return level == LIBXDP_DEBUG ? 0 : say__library(level, format, args);
}

void hooks__hush(void)
{
	libbpf_set_print(print_bpf);
	libxdp_set_print(print_xdp);
}

int program__get(uint32_t id, struct program *out)
{
	int fd = bpf_prog_get_fd_by_id(id), err;
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	*out = (struct program){ .id = id, .name = "?" };
	if (fd < 0)
		return -errno;
	err = bpf_obj_get_info_by_fd(fd, &info, &size) ? -errno : 0;
	close(fd);
	if (!err)
		memcpy(out->name, info.name, sizeof(out->name));
	return err;
}

/* ---- XDP ---- */

static bool link__replaces(__u32 link, __u32 dispatcher)
{
	int fd = bpf_link_get_fd_by_id(link);
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);
	bool yes;

	if (fd < 0)
		return false;
	yes = !bpf_obj_get_info_by_fd(fd, &info, &size) && info.type == BPF_LINK_TYPE_TRACING &&
	      info.tracing.target_obj_id == dispatcher;
	close(fd);
	return yes;
}

/* Does a program hang in the dispatcher, wherever its pin is? */
static bool dispatcher__runs_any(__u32 id)
{
	__u32 link = 0;

	while (!bpf_link_get_next_id(link, &link))
		if (link__replaces(link, id))
			return true;
	return false;
}

/* libxdp knows the members by their pins, and takes it for an empty list when it cannot see them. */
static int xdp__members(unsigned ifindex, struct xdp_hook *x)
{
	struct xdp_multiprog *all = xdp_multiprog__get_from_ifindex((int)ifindex);
	struct xdp_program *p = NULL;
	long err = libxdp_get_error(all);

	if (err)
		return (int)err;
	while (x->members < HOOKS_MAX && (p = xdp_multiprog__next_prog(p, all)))
		program__get(xdp_program__id(p), &x->member[x->members++]);
	xdp_multiprog__close(all);
	return !x->members && dispatcher__runs_any(x->program.id) ? -ENOENT : 0;
}

int hooks__xdp(unsigned ifindex, struct xdp_hook *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int err = bpf_xdp_query((int)ifindex, 0, &query);
	__u32 id = query.drv_prog_id ? query.drv_prog_id : query.skb_prog_id;

	*out = (struct xdp_hook){ 0 };
	if (err)
		return err;
	if (!id)
		id = query.prog_id ? query.prog_id : query.hw_prog_id;
	if (!id)
		return 0;
	out->generic = query.skb_prog_id == id;
	program__get(id, &out->program);
	out->dispatcher = !strncmp(out->program.name, DISPATCHER_NAME, HOOK_NAME - 1);
	if (out->dispatcher)
		out->members_err = xdp__members(ifindex, out);
	return 0;
}

/* ---- tc ---- */

int hooks__tcx(unsigned ifindex, bool egress, struct program list[HOOKS_MAX])
{
	__u32 ids[HOOKS_MAX] = { 0 };
	LIBBPF_OPTS(bpf_prog_query_opts, query, .prog_ids = ids, .prog_cnt = HOOKS_MAX);
	/* target_fd and target_ifindex are one field of the syscall. */
	int err = bpf_prog_query_opts((int)ifindex, egress ? TCX_EGRESS : TCX_INGRESS, &query);
	int n = 0;

	if (err && err != -ENOSPC)
		return err;
	while (n < HOOKS_MAX && n < (int)query.prog_cnt && ids[n]) {
		program__get(ids[n], &list[n]);
		n++;
	}
	return n;
}

struct filters {
	struct tc_filter *list;
	int n;
};

static void take_filter(void *to, const struct nlmsghdr *answer)
{
	const struct tcmsg *tc = NLMSG_DATA(answer);
	const struct nlattr *options, *id;
	struct filters *f = to;

	if (answer->nlmsg_type != RTM_NEWTFILTER || f->n == HOOKS_MAX ||
	    strcmp(netlink__text(netlink__find(answer, sizeof(*tc), TCA_KIND)), "bpf"))
		return;
	options = netlink__find(answer, sizeof(*tc), TCA_OPTIONS);
	id = netlink__within(options, TCA_BPF_ID);
	if (!id)
		return;
	program__get(netlink__number(id), &f->list[f->n].program);
	f->list[f->n].handle = tc->tcm_handle;
	f->list[f->n].priority = tc->tcm_info >> 16;
	f->n++;
}

int hooks__filters(unsigned ifindex, bool egress, struct tc_filter list[HOOKS_MAX])
{
	__u32 side = egress ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS;
	struct netlink_request r = {
		.head = { .nlmsg_type = RTM_GETTFILTER, .nlmsg_flags = NLM_F_DUMP },
		.tc = { .tcm_family = AF_UNSPEC,
			.tcm_ifindex = (int)ifindex,
			.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side) },
	};
	struct filters f = { .list = list };
	int err = netlink__ask(NETLINK_ROUTE, &r, sizeof(r.tc), take_filter, &f);

	return err ? err : f.n;
}

/* ---- who holds it ---- */

static const char *const held_keys[] = { "prog_id:", "map_id:", "link_id:" };

static bool fdinfo__number(const char *path, const char *key, uint32_t *out)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[128];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key))) {
			*out = (uint32_t)strtoul(line + strlen(key), NULL, 10);
			found = true;
		}
	fclose(file);
	return found;
}

int hooks__object(int fd, enum held *kind, uint32_t *id)
{
	/* A link's fdinfo names its program, too. */
	static const enum held order[] = { HELD_LINK, HELD_MAP, HELD_PROGRAM };
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (fdinfo__number(path, held_keys[order[i]], id)) {
			*kind = order[i];
			return 0;
		}
	return -EINVAL;
}

/* Reading a link's target is cheaper than reading fdinfo: most descriptors are no BPF objects. */
static bool is_bpf(const char *pid, const char *fd)
{
	char path[300], target[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	return n >= 14 && !strncmp(target, "anon_inode:bpf", 14);
}

static bool process__holds(const char *pid, enum held kind, uint32_t id)
{
	char path[300];
	struct dirent *e;
	uint32_t found;
	bool holds = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	if (!fds)
		return false;
	while (!holds && (e = readdir(fds))) {
		if (!isdigit((unsigned char)*e->d_name) || !is_bpf(pid, e->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, e->d_name);
		holds = fdinfo__number(path, held_keys[kind], &found) && found == id;
	}
	closedir(fds);
	return holds;
}

static void process__name(const char *pid, char *text, unsigned size)
{
	char path[300], comm[32] = "?";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(comm, sizeof(comm), file))
			comm[strcspn(comm, "\n")] = '\0';
		fclose(file);
	}
	snprintf(text, size, "%s (pid %s)", comm, pid);
}

bool hooks__holder(enum held kind, uint32_t id, char *text, unsigned size)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	bool held = false;

	if (!proc)
		return false;
	while (!held && (e = readdir(proc))) {
		if (!isdigit((unsigned char)*e->d_name) || atoi(e->d_name) == getpid())
			continue;
		held = process__holds(e->d_name, kind, id);
		if (held)
			process__name(e->d_name, text, size);
	}
	closedir(proc);
	return held;
}
