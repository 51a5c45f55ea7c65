#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Each way in which a frame can be lost, provoked: it is counted once, under its own name, and the rest is unharmed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

XSK=$WW_ROOT/tests/net/xsk.py
need jq ethtool

# map_of NAME: the id of the running capture's map of that name
map_of() {
    WW_PID=$CAP_PID ww__holds | sed -n 's/^map //p' | while read -r id; do
        bpftool -j map show id "$id" | jq -r "select(.name == \"$1\") | .id"
    done | head -n 1
}

# Frames that the driver was told of as redirected to nobody.
redirect_drops() {
    srv ethtool -S $SRV_IF | awk '$1 ~ /^rx_queue_[0-9]+_(xdp_)?drops:$/ { sum += $2 } END { print sum + 0 }'
}

# other ARG...: somebody else's socket, until `other_ends`
other() {
    bg "$SRV" python3 "$XSK" "$@" >"$TMP/xsk" 2>&1
    OTHER=$BG_PID
    eventually 5 grep -q ready "$TMP/xsk" || die "xsk.py $*: $(cat "$TMP/xsk")"
}

other_ends() {
    { kill -KILL "$OTHER"; wait "$OTHER"; } 2>/dev/null
}

# The engine is stopped, and cannot take it back.
endless_credit() {
    local id
    id=$(map_of credits)
    # shellcheck disable=SC2046 # bytes
    bpftool map update id "$id" key 0 0 0 0 value 255 255 255 255 255 255 255 15 255 255 255 255 255 255 255 15 \
        $(bpftool -j map lookup id "$id" key 0 0 0 0 | jq -r '.value[16:][]') || wrong "the credit cannot be set"
}

cap__pair 2
must ip -n "$SRV" link set $SRV_IF address 02:00:00:00:00:01

# the fill ring runs empty: a reader that was stopped, native and generic
for mode in native generic; do
    cap__start --mode $mode --queues 2 'udp port 9000'
    kill -STOP "$CAP_PID"
    cap__send 12000 --flows 8
    kill -CONT "$CAP_PID"
    cap__end
    at_least "$mode: dropped for want of a frame" "$(cap__number rx_dropped)" 1000
    is "$mode: delivered or dropped" $(($(cap__number delivered) + $(cap__number rx_dropped))) 12000
    cap__check 12000 --flows 8 --missing "$(cap__number rx_dropped)"
done

# somebody else has the queue
other hold $SRV_IF 1
for sample in tap inline; do
    srv timeout 20 "$WIREWHO" capture -i $SRV_IF --sample $sample -w "$TMP/other" 2>"$TMP/err"
    is "$sample on a queue that is taken: exit code" $? 1
    contains "$sample on a queue that is taken" "$(cat "$TMP/err")" \
        "bind an AF_XDP socket to $SRV_IF, queue 1 (copy): Device or resource busy; another AF_XDP socket has this queue: stop its owner, or serve fewer with --queues"
done
cap__start --queues 1 'udp port 9000'
cap__send 1000 --rate 20000 --flows 64
cap__end
at_least "frames on the queue that is taken" "$(cap__number no_socket)" 1
is "captured or passed" $(($(cap__number written) + $(cap__number no_socket))) 1000
other_ends

# a socket in the map that is bound to another queue, or to none: the kernel drops, and only the driver counts it
for what in "wrong queue" "not bound"; do
    cap__start --queues 1 'udp port 9000'
    before=$(redirect_drops)
    if [ "$what" = "wrong queue" ]; then other place "$(map_of sockets)" 0 $SRV_IF 1; else other place "$(map_of sockets)" 0; fi
    cap__send 1000 --rate 20000 --flows 64
    drops=$(($(redirect_drops) - before))
    other_ends
    kill -TERM "$CAP_PID"
    { wait "$CAP_PID"; CAP_CODE=$?; } 2>/dev/null
    is "$what: exit code" "$CAP_CODE" 0
    at_least "$what: the driver's drops" "$drops" 100
    is "$what: redirected" "$(cap__number redirected)" $drops
    is "$what: delivered" "$(cap__number written)" 0
    is "$what: redirected or passed" $((drops + $(cap__number no_socket))) 1000
    contains "$what: the summary" "$(cat "$CAP_ERR")" \
        "$drops redirected = 0 delivered + 0 rx_dropped + 0 rx_ring_full + $drops unexplained"
    contains "$what: the summary" "$(cat "$CAP_ERR")" "may say more (rx_queue_N_drops, rx_queue_N_xdp_drops)"
done

# places of the fill ring that name no frame of ours: the kernel skips them, and packets are lost only when there is no other.
# Kernels of today count these nowhere (rx_invalid_descs looks at the receive ring); one that does says how many they were.
must srv ethtool -L $SRV_IF rx 1 tx 1
must cli ethtool -L $CLI_IF rx 1 tx 1
for spoiled in 5 4096; do
    cap__start --stats "$TMP/stats" 'udp port 9000'
    must python3 "$XSK" spoil "$CAP_PID" $spoiled
    cap__send 1000 --rate 20000
    cap__end
    if [ $spoiled = 5 ]; then lost=0; else lost=1000; fi
    is "$spoiled frames refused: dropped for want of another" "$(cap__number rx_dropped)" $lost
    is "$spoiled frames refused: delivered" "$(cap__number delivered)" $((1000 - lost))
    contains "$spoiled frames refused: counted, or not" "0 $spoiled" "$(jq '.interfaces[0].rx_invalid' "$TMP/stats")"
    cap__check 1000 --missing $lost
done

# inline, and more credit than there is room: the stack gets what found room, the credit of the rest comes back
cap__start --sample inline 'udp port 9000'
kill -STOP "$CAP_PID"
endless_credit
cap__send 6000
kill -CONT "$CAP_PID"
sleep 0.5
cap__send 1000 --first 6000 --rate 5000
cap__end
is "recovered credit" "$(sed -n 's/^  the credit of \([0-9]*\) frames was recovered.*/\1/p' "$CAP_ERR")" 1904
is "dropped for want of a frame" "$(cap__number rx_dropped)" 1904
is "put back" "$(cap__number put_back)" "$(cap__number delivered)"
is "redirected, or passed" $(($(cap__number redirected) + $(cap__number no_credit))) 7000
cap__check 7000 --missing $((7000 - $(cap__number delivered)))

# inline, and the interface is gone when the frames are to be put back
cap__start --sample inline 'udp port 9000'
kill -STOP "$CAP_PID"
endless_credit
cap__send 100
must ip -n "$SRV" link del $SRV_IF
kill -CONT "$CAP_PID"
eventually 10 eval '! kill -0 $CAP_PID 2>/dev/null' || wrong "the capture goes on without its interface"
{ wait "$CAP_PID"; CAP_CODE=$?; } 2>/dev/null
is "without interface: exit code" "$CAP_CODE" 1
cap__adds_up "$CAP_ERR"
is "not put back" "$(cap__number put_back_failed)" 100
contains "the message" "$(cat "$CAP_ERR")" "put frames back into the stack of $SRV_IF, queue 0: No such device"
contains "the summary" "$(cat "$CAP_ERR")" "  put_back_failed: captured, but the kernel did not take them back"
cap__check 100
exit 0
