/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ATTACH_H
#define WIREWHO_ATTACH_H
/*
 * The program that counts what an interface receives. XDP: through libxdp's dispatcher where the kernel can load one (so
 * that other programs can stand before and after), else directly by a BPF link, which the kernel removes when we die. Or a
 * tc program at ingress, and no XDP program at all.
 */
#include <net/if.h>
#include <stdbool.h>
#include "tc.h"

struct bpf_object;

/* In which way received packets are counted: by XDP, native where that can be had (auto), or at tc. */
enum receive_mode { RECEIVE_AUTO, RECEIVE_NATIVE, RECEIVE_GENERIC, RECEIVE_TC };

enum attach_how { ATTACH_NONE, ATTACH_DISPATCHER, ATTACH_DIRECT, ATTACH_TCX, ATTACH_CLSACT };

/* Where our program stands among others, and after which of its verdicts the next one runs. */
struct chain {
	bool asked;        /* somebody wants this: say so where there is no dispatcher to do it */
	unsigned priority; /* lower runs earlier; libxdp's own default is 50 */
	unsigned actions;  /* 1 << XDP_PASS and the like */
};

/* What redirects stands last: a frame put back, or ended, does not pass those behind. */
#define CHAIN_DEFAULT \
	(struct chain) \
	{ \
		.priority = 50, .actions = 1u << 2 /* XDP_PASS */ \
	}
#define CHAIN_LAST_PRIORITY 1000

/* "pass,drop" and the like: aborted, drop, pass, tx, redirect. 0 or -EINVAL, and nothing is said. */
int chain__parse_actions(struct chain *c, const char *text);

struct attachment {
	char ifname[IF_NAMESIZE];
	unsigned ifindex;
	enum attach_how how;
	enum receive_mode mode; /* what it came to: never auto */
	int prog_fd;
	int link_fd;   /* direct: the BPF link; else -1 */
	void *program; /* dispatcher: struct xdp_program */
	struct tc_place tc;
};

#define ATTACHMENT_NONE \
	{ \
		.prog_fd = -1, .link_fd = -1, .tc = TC_PLACE_NONE \
	}

/* Whether ours will stand in libxdp's dispatcher. Where it cannot be had, says so once a run. */
bool attach__is_chained(void);

/*
 * Loads `obj` (opened, its maps lent) so that its XDP program `name` can be attached to `ifname`, and attaches nothing.
 * Where the dispatcher cannot be had, says so once a run. Returns 0 or -errno; the reason was said.
 */
int attach__load(struct attachment *a, struct bpf_object *obj, const char *name, const char *ifname,
		 const struct chain *chain);
int attach__load_tc(struct attachment *a, struct bpf_object *obj, const char *name,
		    const char *ifname); /* the same for a tc program */
/* Attaches in the wanted mode; auto tries native first and says when it had to take generic. */
int attach__on(struct attachment *a, enum receive_mode want);
int attach__off(struct attachment *a); /* fine on one that is not attached */

const char *receive_mode__name(enum receive_mode mode);
const char *attach_how__name(enum attach_how how);
#endif
