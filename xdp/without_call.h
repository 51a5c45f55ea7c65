/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WITHOUT_CALL_H
#define WIREWHO_WITHOUT_CALL_H
/*
 * A BPF object without a call that the kernel would refuse the whole program for, used or not: what the verifier looks
 * for before it finds dead code cannot be left out by a constant.
 */
#include <stddef.h>

/* In all code of the ELF object (in memory, writable), each call of this helper becomes `r0 = answer`. How many. */
unsigned without_call(void *elf, size_t size, int helper, int answer);
#endif
