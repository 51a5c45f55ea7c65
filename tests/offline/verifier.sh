#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Each BPF program within the instructions that tests/kernel/verifier.budget allows it, on this kernel.
#
#     tests/offline/verifier.sh [built]    `built`, or in a guest: of what is there
set -u
cd "$(dirname "$0")/../.." || exit 1
OUT=${OUT:-.build}
if [ "${1-}" != built ] && [ -z "${WW_GUEST-}" ]; then
    make -s OUT="$OUT" "$OUT/tests/kernel/verifier" wirewho || exit 1
fi
objects=()
for object in "$OUT"/*/*.bpf.o; do
    source=${object#"$OUT"/}
    case $source in bench/*) continue ;; esac
    [ ! -f "${source%.o}.c" ] || objects+=("$object")
done
exec "$OUT/tests/kernel/verifier" tests/kernel/verifier.budget "${objects[@]}"
