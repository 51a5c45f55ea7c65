#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 150
# Thousands of sockets that were open before the tool began, in four namespaces: each has its owner's name.
exec bash "$(dirname "$0")/../owners/crowd" --sockets "${CROWD_SOCKETS:-20000}"
