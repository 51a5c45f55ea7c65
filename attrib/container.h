/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CONTAINER_H
#define WIREWHO_CONTAINER_H
/*
 * The container that a cgroup path stands for, the innermost where they are nested: the 64 hex digits that docker,
 * containerd, cri-o, podman and kubernetes put into it (not those of podman's and cri-o's monitor, which runs outside);
 * or the name of an LXC container; or that of a machine below machine.slice, unless it is a virtual one. A new string,
 * or NULL for none (or without memory).
 */
char *container__of_cgroup(const char *path);
#endif
