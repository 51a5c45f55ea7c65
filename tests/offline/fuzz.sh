#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 600
# Each fuzzer for a minute, two at a time, from its seeds and from what earlier runs found; `make fuzz` runs them for longer.
set -eu
cd "$(dirname "$0")/../.."
OUT=${OUT:-.build}
mkdir -p "$OUT/fuzz"
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0 * *d * n; }' |
    clang -fsanitize=fuzzer,address -x c -o "$OUT/fuzz/none" - 2>/dev/null ||
    { echo "clang has no libFuzzer or no AddressSanitizer here (Debian: libclang-rt-dev)"; exit 77; }
exec make -s -j 2 OUT="$OUT" fuzz FUZZ_SECONDS="${FUZZ_SECONDS:-60}"
