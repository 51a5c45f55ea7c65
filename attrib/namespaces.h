/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_NAMESPACES_H
#define WIREWHO_NAMESPACES_H
/*
 * The other network namespaces of this host: which of them stand behind which interface of this one (a veth, the bridge
 * it is in), and the addresses they hold. Found among the namespaces of processes and
 * those that have a name, by entering each for a moment with a thread (setns(2), which takes CAP_SYS_ADMIN: without it
 * that is said once, and nobody stands behind anything).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct namespaces;
struct join;

/* `home`: the cookie of the namespace that is watched, and in which we are. 0 or -errno. */
int namespaces__open(struct namespaces **out, uint64_t home);
void namespaces__close(struct namespaces *n);

/* A socket stands in this one: it is looked for if it is not known. */
void namespaces__saw(struct namespaces *n, uint64_t netns);

/*
 * Looks again where there is reason to (a namespace, interface or address that was not known), not too often, and tells
 * the join what stands behind which interface. True: it did. `now`: ns, any clock.
 */
bool namespaces__renew(struct namespaces *n, uint64_t now, struct join *j);

/* Interfaces of this namespace behind which there is another one at all. */
const uint32_t *namespaces__doors(const struct namespaces *n, size_t *count);
#endif
