#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# However it ends, and whatever was in its rings then, the sum is whole and the file can be read.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

cap__pair 2

# in the middle of a stream as fast as it goes
for signal in INT TERM HUP; do
    cap__start 'udp port 9000'
    begun=$(counter "$SRV" $SRV_IF rx_packets)
    bg "$CLI" python3 "$NUMBERED" send $CLI_IF 100000 --flows 8
    sender=$BG_PID
    eventually 10 eval '[ "$(counter "$SRV" $SRV_IF rx_packets)" -gt $((begun + 20000)) ]' || wrong "nothing arrives"
    cap__end $signal
    wait "$sender"
    at_least "frames captured before SIG$signal" "$(cap__number written)" 1
    cap__check 100000 --flows 8 --some
done

# while it is stopped the rings fill up: what found room comes out afterwards, with the time at which it arrived
cap__start 'udp port 9000'
from=$(date +%s%N)
kill -STOP "$CAP_PID"
cap__send 20000 --flows 8
before=$(date +%s%N)
kill -CONT "$CAP_PID"
cap__end
is "what found room in two rings" "$(cap__number delivered)" 8192
is "dropped for want of a frame" "$(cap__number rx_dropped)" $((20000 - 8192))
contains "the summary" "$(cat "$CAP_ERR")" "  rx_dropped: no free frame"
cap__check 20000 --flows 8 --missing $((20000 - 8192)) --after "$from" --before "$before"

# killed: nobody can say a sum, but the interface is free again
cap__start 'udp port 9000'
kill -KILL "$CAP_PID"
wait "$CAP_PID" 2>/dev/null
is "what is left on $SRV_IF" "$(srv bpftool -j net show dev $SRV_IF | jq -c '[.[].xdp[]]')" '[]'

# the interface goes away
cap__start 'udp port 9000'
cap__send 2000 --rate 10000
must ip -n "$SRV" link del "$SRV_IF"
eventually 5 eval '! kill -0 $CAP_PID 2>/dev/null' || wrong "the capture goes on without its interface"
{ wait "$CAP_PID"; code=$?; } 2>/dev/null
is "the exit code without interface" $code 1
contains "the message" "$(cat "$CAP_ERR")" "receive from $SRV_IF, queue"
contains "the message" "$(cat "$CAP_ERR")" "No such device"
cap__adds_up "$CAP_ERR"
cap__check 2000
exit 0
