/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CGROUP2_H
#define WIREWHO_CGROUP2_H
#include <stdint.h>
/*
 * An fd of the cgroup v2 root: from where it is mounted, else from a mount of its own that is attached nowhere
 * (fsopen(2), fsmount(2)), because `ip netns exec` hides the hierarchy. Returns the fd or -errno, says nothing.
 */
int cgroup2__root(void);

/* The path, below that root, of the group with this id (its inode number); NULL if it is gone, or may not be asked for
 * (CAP_DAC_READ_SEARCH). To be freed. */
char *cgroup2__path(int root, uint64_t id);
#endif
