/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CGROUP2_H
#define WIREWHO_CGROUP2_H
/*
 * An fd of the cgroup v2 root: from where it is mounted, else from a mount of its own that is attached nowhere
 * (fsopen(2), fsmount(2)), because `ip netns exec` hides the hierarchy. Returns the fd or -errno, says nothing.
 */
int cgroup2__root(void);
#endif
