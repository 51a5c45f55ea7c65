#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# capture --busy-poll: every frame is there; the interface's two settings are changed while it runs, and put back however it ends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# The interface's own settings, in one line.
knobs() {
    srv sh -c "cd /sys/class/net/$SRV_IF && echo \$(cat napi_defer_hard_irqs gro_flush_timeout)"
}

# What captures have noted of this namespace's interfaces.
records() {
    local inode
    inode=$(stat -Lc %i "/run/netns/$SRV")
    find /run/wirewho -name "busy-poll.$inode.*" 2>/dev/null
}

BEFORE="1 3000"
cap__pair 1
must srv sh -c "cd /sys/class/net/$SRV_IF && echo 1 >napi_defer_hard_irqs && echo 3000 >gro_flush_timeout"
is "the settings before" "$(knobs)" "$BEFORE"

cap__start --busy-poll 'udp port 9000'
is "the settings of a capture" "$(knobs)" "2 200000"
cap__send 3000 --rate 20000 --flows 4
cap__end
is "frames captured" "$(cap__number written)" 3000
cap__check 3000 --flows 4
is "the settings afterwards" "$(knobs)" "$BEFORE"
is "records afterwards" "$(records)" ""

# a start that fails after they were set
srv "$WIREWHO" capture -i $SRV_IF -w "$CAP_FILE" --busy-poll=50 --bind zerocopy 'udp port 9000' 2>"$TMP/err"
is "the exit code of a start that fails" $? 1
contains "why it fails" "$(cat "$TMP/err")" "zero-copy"
is "the settings after a start that failed" "$(knobs)" "$BEFORE"
is "records after a start that failed" "$(records)" ""

# killed: cleanup knows what they were, and leaves alone what is in use
cap__start --busy-poll 'udp port 9000'
contains "what cleanup says of a capture that runs" "$(srv "$WIREWHO" cleanup)" "left      busy polling on $SRV_IF: in use"
is "the settings beside cleanup" "$(knobs)" "2 200000"
lacks "what doctor says of a capture that runs" "$(srv "$WIREWHO" doctor -i $SRV_IF)" "was killed"
kill -KILL "$CAP_PID"
wait "$CAP_PID" 2>/dev/null
is "the settings after SIGKILL" "$(knobs)" "2 200000"
contains "what doctor says after SIGKILL" "$(srv "$WIREWHO" doctor -i $SRV_IF | tr -s ' \n' ' ')" \
    "gro_flush_timeout 200000 ns; left behind by a capture --busy-poll that was killed"
contains "what a dry run says" "$(srv "$WIREWHO" cleanup -n)" \
    "would remove busy polling on $SRV_IF: napi_defer_hard_irqs 1, gro_flush_timeout 3000 again"
is "the settings after a dry run" "$(knobs)" "2 200000"
contains "what cleanup says" "$(srv "$WIREWHO" cleanup)" "removed   busy polling on $SRV_IF"
is "the settings after cleanup" "$(knobs)" "$BEFORE"
is "records after cleanup" "$(records)" ""

# killed, and then another run instead of cleanup: what it found is not what was before
cap__start --busy-poll 'udp port 9000'
kill -KILL "$CAP_PID"
wait "$CAP_PID" 2>/dev/null
cap__start --busy-poll 'udp port 9000'
cap__end
is "the settings after another run" "$(knobs)" "$BEFORE"

# without a driver to poll, without a socket to poll for
srv "$WIREWHO" capture -i lo -w "$CAP_FILE" --busy-poll --sample tap --force --mode generic 'udp port 9000' 2>"$TMP/err"
is "the exit code on an interface without NAPI" $? 1
contains "why it refuses" "$(cat "$TMP/err")" "set busy polling on lo"
contains "why it refuses" "$(cat "$TMP/err")" "no NAPI instance"
srv "$WIREWHO" capture -i $SRV_IF -w "$CAP_FILE" --busy-poll --sample copy 'udp port 9000' 2>"$TMP/err"
is "the exit code of busy polling copies" $? 2
for wrong in 0 1001 x; do
    srv "$WIREWHO" capture -i $SRV_IF -w "$CAP_FILE" --busy-poll=$wrong 2>/dev/null
    is "the exit code of --busy-poll=$wrong" $? 2
done
exit 0
