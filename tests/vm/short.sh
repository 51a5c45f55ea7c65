#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 1500
# A few tests on other kernels, two guests at once: tests/vm/run says which.
[ "$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)" -ge 5000 ] ||
    { echo "two guests of 2 GB each do not fit into this host's memory"; exit 77; }
exec bash "$(dirname "$0")/run" short
