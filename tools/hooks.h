/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_HOOKS_H
#define WIREWHO_HOOKS_H
/*
 * What hangs on an interface of the current network namespace: XDP programs, tc programs; and who holds a program.
 * Only looks. Nothing is said here.
 */
#include <stdbool.h>
#include <stdint.h>

#define HOOK_NAME 16 /* as the kernel keeps a program's name, with the final zero */
#define HOOKS_MAX 16

/* Our own programs, by name: what a killed run may leave behind. */
#define METER_NAME "wirewho_meter"
#define INGRESS_NAME "wirewho_ingress"
#define EGRESS_NAME "wirewho_egress"

struct program {
	uint32_t id; /* 0: none */
	char name[HOOK_NAME];
};

/* Needs CAP_SYS_ADMIN; without it the name is "?". 0 or -errno; the id is filled in either way. */
int program__get(uint32_t id, struct program *out);

/* XDP: one program, or libxdp's dispatcher and what it runs, in order. */
struct xdp_hook {
	struct program program; /* id 0: nothing attached */
	bool generic;
	bool dispatcher;
	struct program member[HOOKS_MAX];
	unsigned members;
	int members_err; /* why the dispatcher's list could not be read; -ENOENT: pinned out of sight */
};
int hooks__xdp(unsigned ifindex, struct xdp_hook *out);

/* tcx programs in the order they run. Returns how many (at most HOOKS_MAX), or -errno. */
int hooks__tcx(unsigned ifindex, bool egress, struct program list[HOOKS_MAX]);

/* A BPF filter on clsact. */
struct tc_filter {
	struct program program;
	uint32_t handle, priority;
};
/* Returns how many (at most HOOKS_MAX), or -errno. */
int hooks__filters(unsigned ifindex, bool egress, struct tc_filter list[HOOKS_MAX]);

/* From now on libbpf's and libxdp's own lines appear with -v only. */
void hooks__hush(void);

enum held { HELD_PROGRAM, HELD_MAP, HELD_LINK };
/* The first other process that has this object open, as "NAME (pid N)". False: nobody has. */
bool hooks__holder(enum held kind, uint32_t id, char *text, unsigned size);
/* Which object a descriptor of ours stands for. 0 or -errno. */
int hooks__object(int fd, enum held *kind, uint32_t *id);
#endif
