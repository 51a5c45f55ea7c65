/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_FRAMES_H
#define WIREWHO_FRAMES_H
/* What reinject.c and its program share: the frames of a batch, and how far the program got. */
#include "xdp/flow.h"

#define FRAMES_BATCH 64
#define FRAMES_MOST 3400

struct frame_out {
	__u32 length;
	__u32 pad;
	__u8 data[FRAMES_MOST];
};
flow_assert(sizeof(struct frame_out) == 3408,
	    "frame_out: a multiple of 8, as an array lays it out");

struct frames_state {
	__u32 next;  /* the frame to write: all before it have gone to the stack */
	__s32 error; /* why that one did not, as bpf_clone_redirect(7) has it; 0: nothing wrong */
};
#endif
