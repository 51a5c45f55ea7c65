#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
# Some sixty programs that know their owners, each socket in its own way: no packet has a wrong name. WW_OWNERS, a pattern,
# chooses some of them.
exec bash "$(dirname "$0")/../owners/run" --peers none --only "${WW_OWNERS:-*}"
