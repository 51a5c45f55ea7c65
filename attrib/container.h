/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CONTAINER_H
#define WIREWHO_CONTAINER_H
/*
 * What the path of a control group says of the processes in it: the container, the pod, the systemd unit. Nobody is
 * asked, so it also holds where no runtime runs any more.
 */

/* Each text is allocated, or NULL where the path does not say it. */
struct placement {
	/* The innermost container: the 64 hex digits that docker, containerd, cri-o, podman and kubernetes put into the path
	 * (not those of podman's and cri-o's monitor, which runs outside); or the name of an LXC container; or that of a
	 * machine below machine.slice, unless it is a virtual one. */
	char *container;
	const char *
		runtime; /* "docker", "containerd", "cri-o", "podman", "lxc", "systemd-nspawn"; not allocated */
	char *pod;  /* kubernetes: the pod's uid */
	char *unit; /* systemd: "nginx.service", "session-3.scope"; not a container's own scope */
	char *user_unit; /* the same below a user's own manager, user@UID.service */
	char *slice;     /* that the unit is in */
	char *session;   /* of a user: "3" */
};

/* Fills in what this path (below the root of its hierarchy) says and `to` does not know yet; NULL says nothing. */
void placement__add(struct placement *to, const char *path);
void placement__free(struct placement *p); /* leaves an empty one, as does zeroing */
#endif
