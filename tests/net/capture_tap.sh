#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Every frame that matches is in the file: unaltered, in its flow's order, with its time and wire length; no other is.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# check_all WHAT COUNT SEND_ARGS -- CAPTURE_ARGS: no more frames than one ring holds, so that none may be lost
check_all() {
    local what=$1 count=$2 sent=() from before=$WW_FAILED
    shift 2
    while [ "$1" != -- ]; do
        sent+=("$1")
        shift
    done
    shift
    from=$(date +%s%N)
    cap__start "$@"
    cap__send "$count" --rate 20000 "${sent[@]}"
    cap__send 50 --udp 7777 # does not match
    cap__end
    is "frames captured" "$(cap__number written)" "$count"
    is "frames that the engine counted in flows" "$(cap__number in_flows)" "$count"
    at_least "seconds between the first frame and the last" "$(cap__duration)" "$(printf 0.%03d $((count * 4 / 100)))"
    cap__check "$count" "${sent[@]}" --after "$from" --before "$(date +%s%N)"
    [ "$WW_FAILED" -eq "$before" ] || wrong "that was: $what"
}

# From the first frame's time to the last one's: frames that come one after another have times of their own.
cap__duration() {
    capinfos -u "$CAP_FILE" | sed -n 's/^Capture duration: *\([0-9.]*\) seconds$/\1/p'
}

cap__pair 1
for mode in native generic; do
    check_all "UDP, $mode" 3000 --udp 9000 -- --mode $mode 'udp port 9000'
    contains "the report" "$(cat "$CAP_ERR")" "$SRV_IF: 1 queue, AF_XDP copy mode"
done
check_all "TCP by default, eight flows" 3000 --tcp 80 --flows 8 --
check_all "--match twice" 3000 --udp 9000 --flows 4 -- --match 'udp port 9000' --match 'tcp port 81'

contains "flows of the last run" "$(cat "$CAP_ERR")" "  in_flows: 4 flows"

cap__start -s 50 'udp port 9000'
cap__send 1000 --rate 20000
cap__end
cap__check 1000 --snaplen 50
contains "the file's head" "$(capinfos "$CAP_FILE")" "Capture length = 50"

# what no selection in the kernel can name is taken whole: frames of no flow, too
cap__start --flows 2 --stats "$TMP/stats" arp
cap__send 100 --udp 9000 --flows 4
must cli python3 - "$CLI_IF" <<'END'
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
for _ in range(7):
    out.send(b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + bytes(46))
END
cap__end
is "ARP in the file" "$(cap__packets)" 7
at_least "the others, filtered" "$(cap__number filtered)" 100
is "ARP, as the engine counted" "$(jq .interfaces[0].counted.arp "$TMP/stats")" 7
is "flows, as many as were allowed" "$(jq .interfaces[0].counted.flows "$TMP/stats")" 2
at_least "frames of other flows" "$(jq .interfaces[0].counted.no_flow_room "$TMP/stats")" 50

# what a driver takes up at once came with the first of it: also where the ring's places are used again
from=$(date +%s)
cap__start 'tcp port 443'
must cli "$WW_ROOT/.build/bench/generator" -i "$CLI_IF" --by live --packets 20000 --rate 20000 >/dev/null
cap__end
is "delivered or dropped" $(($(cap__number delivered) + $(cap__number rx_dropped))) 20000
at_least "frames in the file, more than there are places" "$(cap__packets)" 9000
info=$(capinfos -a -e -o -S "$CAP_FILE")
contains "capinfos" "$info" "Strict time order:   True"
at_least "the first one's time" "$(sed -n 's/^First packet time: *\([0-9]*\).*/\1/p' <<<"$info")" "$from"
at_least "and now" "$(date +%s)" "$(sed -n 's/^Last packet time: *\([0-9]*\).*/\1/p' <<<"$info")"

# longer than one frame of UMEM: they come in pieces
must ip -n "$SRV" link set "$SRV_IF" mtu 9000
must ip -n "$CLI" link set "$CLI_IF" mtu 9000
cap__start 'udp port 9000'
if grep -q 'takes no frame longer' "$CAP_ERR"; then
    cap__send 100 --long 3000
    cap__send 100 --long 8900
    cap__end
    is "frames too long for this kernel" "$(cap__number rx_dropped)" 100
else
    cap__end
    check_all "frames in pieces" 1200 --long 8900 -- 'udp port 9000'
    check_all "frames in pieces, generic" 1200 --long 8900 -- --mode generic 'udp port 9000'
    check_all "frames in pieces, cut" 1200 --long 8900 --snaplen 5000 -- -s 5000 'udp port 9000'
fi

info=$(capinfos "$CAP_FILE")
contains "capinfos" "$info" "File timestamp precision:  nanoseconds (9)"
contains "capinfos" "$info" "Name = $SRV_IF"
contains "capinfos" "$info" "Capture application: wirewho"
contains "capinfos" "$info" "Filter string = udp port 9000"
contains "capinfos" "$info" "Number of stat entries = 1"
contains "capinfos" "$info" "Strict time order:   True"
exit 0
