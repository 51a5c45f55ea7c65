#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Two processes that use the same sockets at the same moments: no event names anybody else, and none is two in one.
. "$(dirname "$0")/lib.sh"

need_root
built__make .build/tests/kernel/meet
"$WW_ROOT/.build/tests/kernel/meet" 60 >"$TMP/meet.out" 2>&1
code=$?
cat "$TMP/meet.out"
[ $code -ne 77 ] || skip "the owner programs do not run here: $(tail -n 1 "$TMP/meet.out")"
is "exit code of meet" $code 0
is "lost events" "$(sed -n 's/.* \([0-9]*\) lost.*/\1/p' "$TMP/meet.out")" 0
at_least "changes of hands counted apart" "$(sed -n 's/.*, \([0-9]*\) changes.*/\1/p' "$TMP/meet.out")" 1000
