// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "syscall_names.h"

#include <stddef.h>
#include <stdio.h>
#include "attrib/trace_syscalls.h"

#if defined(__aarch64__)
#define OWN SYSCALL_ARM64
#else
#define OWN SYSCALL_X86_64
#endif

/* By number; holes are NULL. */
#define SYSCALL(abi, nr, name) [SYSCALL_##abi][nr] = (name),
static const char *const names[SYSCALL_ARM + 1][SYSCALL_OTHER] = {
#include "tools/trace/syscall_table.h"
};
#undef SYSCALL

static const char *const abis[] = {
	[SYSCALL_X86_64] = "x86_64", [SYSCALL_I386] = "i386", [SYSCALL_X32] = "x32",
	[SYSCALL_ARM64] = "arm64",   [SYSCALL_ARM] = "arm",
};

enum syscall_abi syscall_abi_own(void)
{
	return OWN;
}

const char *syscall_abi_name(enum syscall_abi abi)
{
	return abi < sizeof(abis) / sizeof(*abis) && abis[abi] ? abis[abi] : "unknown";
}

const char *syscall_name(enum syscall_abi abi, unsigned nr, char text[SYSCALL_NAME_SIZE])
{
	const char *name = nr < SYSCALL_OTHER && abi <= SYSCALL_ARM ? names[abi][nr] : NULL;
	const char *prefix = abi == OWN ? "" : syscall_abi_name(abi);
	const char *colon = abi == OWN ? "" : ":";

	if (nr >= SYSCALL_OTHER)
		snprintf(text, SYSCALL_NAME_SIZE, "%s%sother", prefix, colon);
	else if (name)
		snprintf(text, SYSCALL_NAME_SIZE, "%s%s%s", prefix, colon, name);
	else
		snprintf(text, SYSCALL_NAME_SIZE, "%s%s%u", prefix, colon, nr);
	return text;
}
