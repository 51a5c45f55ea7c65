#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# When the output fails: one clear line, exit code 1, nothing attached, the sum still whole, the file still readable.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

cap__pair 1

# inside SHELL_COMMAND: run in the server's namespace with what it says in $CAP_ERR
inside() {
    rm -f "$CAP_FILE"
    bg "$SRV" bash -c "$1" 2>"$CAP_ERR"
    CAP_PID=$BG_PID
    eventually 20 cap__began || die "wirewho does not begin to capture: $(cat "$CAP_ERR")"
}

ended() {
    eventually "${1:-10}" eval '! kill -0 $CAP_PID 2>/dev/null' || die "the capture does not end: $(cat "$CAP_ERR")"
    cap__wait
}

# a disk of 1 MB; `ip netns exec` mounts for this command alone
mkdir "$TMP/small"
inside "mount -t tmpfs -o size=1m none $TMP/small &&
    $WIREWHO capture -i $SRV_IF -w $TMP/small/file 'udp port 9000'; code=\$?; cp $TMP/small/file $CAP_FILE; exit \$code"
cap__send 20000 --rate 20000
ended
is "the exit code with a full disk" "$CAP_CODE" 1
contains "the message" "$(cat "$CAP_ERR")" "write the capture to $TMP/small/file: No space left on device"
at_least "written before the disk was full" "$(cap__number written)" 5000
at_least "taken, but not written" "$(cap__number output_failed)" 1
cap__check 20000 --some
capinfos "$CAP_FILE" >/dev/null 2>&1 || wrong "capinfos cannot read what is left of the file"

# the reader goes away
inside "set -o pipefail; $WIREWHO capture -i $SRV_IF -w - 'udp port 9000' | head -c 100000 >/dev/null"
cap__send 20000 --rate 20000
ended
is "the exit code without reader" "$CAP_CODE" 1
contains "the message" "$(cat "$CAP_ERR")" "write the capture to standard output: Broken pipe"

# the reader sleeps: the lane fills, and then the end comes all the same
inside "$WIREWHO capture -i $SRV_IF -w - 'udp port 9000' > >(exec sleep 60) & echo \$! >$TMP/pid; wait \$!"
pid=$(cat "$TMP/pid")
cap__send 10000 --rate 20000 --long 1400
cap__send 10000 --rate 20000 --long 1400
kill -TERM "$pid"
ended 20
is "the exit code with a sleeping reader" "$CAP_CODE" 1
at_least "dropped, the queue being full" "$(cap__number output_dropped)" 1000
at_least "left in the queue" "$(cap__number output_failed)" 1000

# a reader that reads: live, without waiting for the end
inside "$WIREWHO capture -i $SRV_IF -w - 'udp port 9000' | tcpdump -U -r - -w $TMP/live 2>/dev/null & wait \$!"
cap__send 10 --rate 1000
eventually 2 eval '[ "$(capinfos -c -M $TMP/live 2>/dev/null | sed -n "s/^Number of packets: *//p")" = 10 ]' ||
    wrong "ten packets do not come through the pipe while the capture runs"
kill -TERM "$(srv pgrep -n -f "^$WIREWHO capture")"
ended
is "the exit code of the pipe" "$CAP_CODE" 0

# cannot even begin
# refused WHAT FILE PART
refused() {
    srv timeout 10 "$WIREWHO" capture -i $SRV_IF -w "$2" >"$TMP/out" 2>"$CAP_ERR"
    is "$1: the exit code" $? 1
    contains "$1: the message" "$(cat "$CAP_ERR")" "$3"
    is "$1: what is left" "$(srv bpftool -j net show dev $SRV_IF | jq -c '[.[].xdp[]]')" '[]'
}
refused "no such folder" "$TMP/none/file" "open $TMP/none/file for the capture: No such file or directory"
refused "a folder" "$TMP" "open $TMP for the capture: Is a directory"
refused "a full device" /dev/full "write the capture to /dev/full: No space left on device"
srv "$WIREWHO" capture -i $SRV_IF -w - 2>"$CAP_ERR" >&-
is "closed output: the exit code" $? 1
contains "closed output: the message" "$(cat "$CAP_ERR")" "standard output"
exit 0
