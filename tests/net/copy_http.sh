#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Copies leave traffic alone: no request fails, also while the reader is stopped or killed; every packet is accounted for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# load WHAT ADDRESS CAPTURE_ARGS
load() {
    local what=$1 address=$2 failed=$WW_FAILED
    shift 2
    cap__start --stats "$TMP/stats" "$@" 'tcp port 80'
    wrk__run "$CLI" 2 16 "http://$address/small"
    cap__end
    is "redirected" "$(cap__number redirected)" 0
    is "copied or lost" $(($(cap__number copied) + $(cap__number copy_lost) + $(cap__number skipped))) \
        "$(cap__number matched)"
    is "packets in the file" "$(cap__packets)" "$(cap__number copied)"
    at_least "packets in the file" "$(cap__packets)" 1000
    is "the way, as the JSON says" "$(jq -r .sample "$TMP/stats")" copy
    [ "$WW_FAILED" -eq "$failed" ] || wrong "that was: $what"
}

net__pair 2
nginx__start "$SRV"

load "by default, where this host has an address" $SRV4
contains "the reason" "$(cat "$CAP_ERR")" "$SRV_IF carries this host's address $SRV4: --sample copy, which leaves its traffic alone"
load "IPv6" "[$SRV6]" --sample copy
load "generic XDP" $SRV4 --sample copy --mode generic
load "one in ten packets" $SRV4 --sample copy --rate 10
at_least "skipped" "$(cap__number skipped)" $((8 * $(cap__number matched) / 10))

# a ring of one page: whatever does not fit is lost as a copy, and only as a copy
load "a ring too small" $SRV4 --sample copy --ring 4096
at_least "lost copies" "$(cap__number copy_lost)" 1
contains "the summary" "$(cat "$CAP_ERR")" "  copy_lost: the ring buffer was full"

# Room for all of them, so that nothing is lost where the host lets the reader wait.
ALL=(--ring 16777216)

# numbered frames: unaltered, in their flow's order, with their times; longer ones are cut and keep their wire length
from=$(date +%s%N)
cap__start --sample copy "${ALL[@]}" 'udp port 9000'
cap__send 3000 --rate 20000 --flows 4
cap__end
cap__check 3000 --flows 4 --after "$from" --before "$(date +%s%N)"

# a sender that changes its CPU all the time, so that one flow is in both rings: in order nevertheless
if [ "$(nproc)" -gt 1 ]; then
    cap__start --sample copy "${ALL[@]}" 'udp port 9000'
    cap__send 20000 --rate 40000 &
    sender=$!
    while kill -0 "$sender" 2>/dev/null; do
        for cpu in 0 1; do
            for pid in $(ip netns pids "$CLI"); do
                taskset -pc $cpu "$pid" >/dev/null 2>&1
            done
            sleep 0.01
        done
    done
    cap__end
    cap__check 20000
    contains "capinfos" "$(capinfos "$CAP_FILE")" "Strict time order:   True"
fi

must ip -n "$SRV" link set "$SRV_IF" mtu 9000
must ip -n "$CLI" link set "$CLI_IF" mtu 9000
for snaplen in "50" "2048" "5000"; do
    args=(-s $snaplen)
    [ $snaplen != 2048 ] || args=()
    cap__start --sample copy "${ALL[@]}" "${args[@]}" 'udp port 9000'
    cap__send 1000 --rate 20000 --long 8900
    cap__end
    cap__check 1000 --long 8900 --snaplen $snaplen
    contains "the file's head" "$(capinfos "$CAP_FILE")" "Capture length = $snaplen"
done

# the end comes in the middle of a stream: what is in the rings then is read
begun=$(counter "$SRV" $SRV_IF rx_packets)
cap__start --sample copy 'udp port 9000'
bg "$CLI" python3 "$NUMBERED" send $CLI_IF 100000 --flows 8
sender=$BG_PID
eventually 20 eval '[ "$(counter "$SRV" $SRV_IF rx_packets)" -gt $((begun + 20000)) ]' || wrong "nothing arrives"
cap__end
wait "$sender"
cap__check 100000 --flows 8 --some
is "packets in the file" "$(cap__packets)" "$(cap__number copied)"

# nobody reads: the ring fills, packets pass
cap__start --sample copy 'tcp port 80'
kill -STOP "$CAP_PID"
wrk__run "$CLI" 2 16 "http://$SRV4/small"
kill -CONT "$CAP_PID"
cap__end
at_least "lost while it was stopped" "$(cap__number copy_lost)" 1
is "packets in the file" "$(cap__packets)" "$(cap__number copied)"

cap__start --sample copy 'tcp port 80'
holds=$(WW_PID=$CAP_PID ww__holds)
(sleep 1; kill -KILL "$CAP_PID") &
wrk__run "$CLI" 2 16 "http://$SRV4/small"
{ wait "$CAP_PID"; } 2>/dev/null
eventually 10 ww__released "$holds" || wrong "left after SIGKILL: $(ww__left "$holds")"

# its interface goes away
cap__start --sample copy 'tcp port 80'
must ip -n "$SRV" link del "$SRV_IF"
eventually 5 eval '! kill -0 $CAP_PID 2>/dev/null' || wrong "the capture goes on without its interface"
{ wait "$CAP_PID"; code=$?; } 2>/dev/null
is "the exit code without interface" $code 1
contains "the message" "$(cat "$CAP_ERR")" "receive from $SRV_IF: No such device"
exit 0
