#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Some of the owners' truth table, with what bcc's tcptop names beside it: its probes need kprobes or fentry.
. "$(dirname "$0")/../../net/lib.sh"

need tcptop
said=$(timeout $((20 * ${WW_SLOW:-1})) tcptop -C -S 1 1 2>&1) ||
    skip "tcptop does not run on this kernel: $(grep -v '^PID' <<<"$said" | tail -n 1)"
bash "$WW_ROOT/tests/owners/run" --peers tcptop --only '@(tcp_both|tcp_ipv6|short_tcp|accept_then_fork|prefork_workers|passed_in_use|nginx_curl)' \
    >"$TMP/said" || WW_FAILED=1
cat "$TMP/said"
contains "what it says of tcptop" "$(cat "$TMP/said")" "tcptop named"
exit 0
