/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_REINJECT_H
#define WIREWHO_REINJECT_H
/*
 * Puts frames back into the stack of the interface they came from, as if AF_XDP had never had them.
 *
 * BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES (kernel commit b530e9e1063e) runs a program once for each frame of a
 * batch; the program writes frame i out of mapped memory and returns XDP_PASS, and the kernel receives the result on
 * the interface named as ingress. A native XDP program on it does not see them again (a
 * generic one would).
 *
 * The program is attached to a veth end that is down, in a network namespace of its own: a program attached nowhere
 * would make the kernel wait for a grace period of some 13 ms at every batch (its XDP dispatcher changes). Namespace and
 * veth are held by descriptors only, and vanish with the process.
 */
#include <stddef.h>
#include <stdint.h>

#define REINJECT_BATCH 64
#define REINJECT_MOST 3400 /* bytes: a live frame is one page less its headroom and tail */

struct reinject;

/* One for each thread. 0 or -errno (said). */
int reinject__open(struct reinject **out);
/* For --pin: by what name. 0 or -errno (said). */
int reinject__pin(const struct reinject *r, const char *name);
void reinject__close(struct reinject *r); /* NULL is fine */

/* Where frame `i` (below REINJECT_BATCH) of the next batch is to be written: REINJECT_MOST bytes. */
uint8_t *reinject__frame(struct reinject *r, unsigned i);
void reinject__set_length(struct reinject *r, unsigned i, uint32_t length); /* 14..REINJECT_MOST */

/*
 * Puts frames 0 to n - 1 back on `ifindex`, in order. Returns how many the kernel took, or -errno when it took none:
 * -ENODEV when the interface is gone.
 */
int reinject__run(struct reinject *r, unsigned ifindex, unsigned n);
#endif
