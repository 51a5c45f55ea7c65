/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_REINJECT_H
#define WIREWHO_REINJECT_H
/*
 * Puts frames back into the stack of the interface they came from, as if AF_XDP had never had them.
 *
 * BPF_PROG_TEST_RUN of a tc program, once for each frame of a batch: the program writes frame i out of mapped memory and hands
 * a clone to the interface's ingress (bpf_clone_redirect). From there it goes as netif_rx() does: through the CPU's backlog, and
 * received before the call returns. A native XDP program on the interface does not see it again (a generic one would).
 *
 * The other way, live frames (BPF_F_TEST_XDP_LIVE_FRAMES), makes a page pool of 64 pages for each call, and keeps it for
 * seconds if the receiver of a frame is not quick; to take one apart the kernel then walks the list of all.
 */
#include <stddef.h>
#include <stdint.h>

#define REINJECT_BATCH 64
#define REINJECT_MOST \
	3400 /* bytes: what fits into a page with the kernel's own before and behind */

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
 * Puts frames `first` to n - 1 back on `ifindex`, in order. Returns how many the kernel took, or -errno when it took none:
 * -ENODEV when the interface is gone, -ENOBUFS when it is down or the CPU's backlog full.
 */
int reinject__run(struct reinject *r, unsigned ifindex, unsigned first, unsigned n);
#endif
