/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_OWNERS_H
#define WIREWHO_OWNERS_H
/* The owner programs' user side: load and attach them, read what they announce, take the snapshot at the start. */
#include <stddef.h>
#include <stdint.h>
#include "owner.h"

struct bpf_object;
struct owners;

typedef void (*owner_fn)(void *to, const struct owner_event *e);

/*
 * Loads and attaches what this kernel has; each missing hook is said. fn gets every event from owners__read(). `cgroup`: an
 * id; what its processes, and those below it, use is marked so in the sockets' storage. 0: none.

 * For tests, the environment may say WIREWHO_OWNER_RING: how many bytes of events may wait (a power of two, at least a page).
 */
int owners__open(struct owners **out, uint64_t cgroup, owner_fn fn, void *to);
void owners__close(struct owners *o);

int owners__fd(const struct owners *o); /* readable when events wait: for epoll */
int owners__read(struct owners *o);     /* hands on what waits; number of events or -errno */
int owners__snapshot(struct owners *o); /* hands on the owner of every open socket; 0 or -errno */
uint64_t owners__lost(const struct owners *o); /* events that found the ring buffer full */

/* Interfaces behind which other network namespaces stand: what leaves elsewhere and came in there is announced. 0 or
 * -errno (said). */
int owners__set_doors(struct owners *o, const uint32_t *ifindex, size_t n);

/* Gives the socket storage and the event ring to another object (egress) that is not loaded yet. */
int owners__lend(struct owners *o, struct bpf_object *obj);
/* The socket storage alone, to one that only asks whose a socket is. */
int owners__lend_sockets(struct owners *o, struct bpf_object *obj);
/* Gives the flows that have just changed hands to another object that counts (meter). `owners` is a struct owners. */
int owners__lend_turns(void *owners, struct bpf_object *obj);
/* This change has been taken in: its flow need not be counted apart any more. */
void owners__turned(struct owners *o, const struct owner_event *e);
/*
 * Now and then, when all that owners__read() handed on has been taken in: a change whose event was lost is counted apart no
 * longer. It takes many calls to be sure of one.
 */
void owners__expire_turns(struct owners *o);
/* The same way: hands on the end of those of the kernel's own sockets that are gone. */
void owners__end_kernels(struct owners *o);
#endif
