/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_LEFTOVERS_H
#define WIREWHO_LEFTOVERS_H
/*
 * What killed runs left behind: ours by its program's name, and in nobody's hands. Whatever is not ours stays, and so
 * does what a living process holds.
 */
#include <stdbool.h>
#include <stdint.h>
#include "hooks.h"

struct leftovers {
	bool dry, verbose;
	bool starting; /* a run begins: on stderr, and only what was removed or could not be */
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

/* Removes it, unless somebody holds it or this is a dry run, and says so. */
void leftovers__handle(struct leftovers *c, const struct finding *f);
void leftovers__not_ours(const struct leftovers *c, const char *what);

/* The XDP and tc programs on one interface of this network namespace. */
void leftovers__of_interface(struct leftovers *c, unsigned ifindex, const char *ifname);

/*
 * Before a run attaches: the same for one interface, said on stderr. Does nothing where not all processes can be seen
 * (in a pid namespace), because then nobody knows who holds what.
 */
void leftovers__before_start(const char *ifname);
#endif
