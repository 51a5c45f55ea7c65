#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Writes the names of system calls as C, out of the headers of this host's linux-libc-dev: one line a call,
#
#     SYSCALL(ABI, number, "name")
#
# The compiler's preprocessor works the numbers out. A header that is not there (those of another architecture) gives none.
set -eu

CC=${1:-gcc}

# names ABI HEADER [FLAG]...
names() {
    abi=$1 header=$2
    shift 2
    echo "#include <$header>" | $CC "$@" -E - >/dev/null 2>&1 || return 0
    echo "#include <$header>" | $CC "$@" -E -dM - |
        sed -n 's/^#define __NR_\([a-z0-9_]*\) .*/\1/p' | grep -vxE 'syscalls|arch_specific_syscall' | sort |
        { echo "#include <$header>"; sed 's/.*/SYSCALL('"$abi"', __NR_&, "&")/'; } |
        $CC "$@" -E -P - | grep -E '^SYSCALL\([A-Z0-9_]+, *\(?[0-9]'
}

echo "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */"
case $($CC -dumpmachine) in
x86_64*)
    names X86_64 asm/unistd_64.h
    names I386 asm/unistd_32.h
    # What arm64's own <asm/unistd.h> asks of the common table.
    names ARM64 asm-generic/unistd.h -D__ARCH_WANT_RENAMEAT -D__ARCH_WANT_NEW_STAT -D__ARCH_WANT_SET_GET_RLIMIT \
        -D__ARCH_WANT_TIME32_SYSCALLS -D__ARCH_WANT_SYS_CLONE3 -D__ARCH_WANT_MEMFD_SECRET
    ;;
*) names ARM64 asm/unistd.h ;;
esac
