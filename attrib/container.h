/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CONTAINER_H
#define WIREWHO_CONTAINER_H
/*
 * The container that a cgroup path stands for: the 64 hex digits that docker, containerd, cri-o, podman and kubernetes
 * put into it, or the name behind "lxc.payload.". A new string, or NULL for none (or without memory).
 */
char *container__of_cgroup(const char *path);
#endif
