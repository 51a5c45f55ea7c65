/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SYSCALL_NAMES_H
#define WIREWHO_SYSCALL_NAMES_H
/* Names of system calls, as the headers had them that this program was built with; newer ones are known by number. */
#include "attrib/syscall.h"

/* "read"; on another interface than this machine's own "i386:read"; else the number: "470", "other". Returns `text`. */
#define SYSCALL_NAME_SIZE 64
const char *syscall_name(enum syscall_abi abi, unsigned nr, char text[SYSCALL_NAME_SIZE]);
enum syscall_abi syscall_abi_own(void);
const char *syscall_abi_name(enum syscall_abi abi); /* "x86_64" */
#endif
