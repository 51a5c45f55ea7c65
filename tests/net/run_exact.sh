#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 240
# What wirewho counted is what the interface itself counted, to the packet and the byte, with segmentation offloads off.
. "$(dirname "$0")/lib.sh"

LEAST=10000
[ -z "${WW_GUEST-}" ] || LEAST=$((LEAST / ${WW_SLOW:-1})) # as there is less to download
net__pair 2
offload "$SRV" $SRV_IF off tso gso gro
offload "$CLI" $CLI_IF off tso gso gro
nginx__start "$SRV" 2

load() {
    local n
    wrk__run "$CLI" 1 16 http://$SRV4/small
    wrk__run "$CLI" 1 16 "http://[$SRV6]/small"
    must cli curl -fsS -o /dev/null http://$SRV4/big
    for n in 1 2 3 4 5 6 7 8 9 10; do
        must cli curl -fsS -o /dev/null "http://[$SRV6]/small"
    done
    cli python3 - $SRV4 $SRV6 <<-'END'
	import socket, sys
	for host in sys.argv[1:]:
	    for size in (0, 1, 100, 1400):
	        s = socket.create_connection((host, 80))
	        u = socket.socket(s.family, socket.SOCK_DGRAM)
	        for i in range(250):
	            u.sendto(b"x" * size, (host, 4000 + i % 50)) # nobody listens: ICMP comes back
	END
}

# queues: "packets bytes drops" over the receive queues of native XDP, as the driver tells them apart (ethtool -S)
queues() {
    srv ethtool -S $SRV_IF | awk '/rx_queue_[0-9]+_xdp_packets:/ { p += $2 } /rx_queue_[0-9]+_xdp_bytes:/ { b += $2 }
        /rx_queue_[0-9]+_xdp_drops:/ { d += $2 } END { print p + 0, b + 0, d + 0 }'
}

# start ARG...: attached without a packet in between, so that the interface's counters before and after say when
start() {
    while quiet "$SRV" $SRV_IF; do
        FIRST=$(counters "$SRV" $SRV_IF)
        QUEUES=$(queues)
        ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/flows" "$@"
        [ "$(counters "$SRV" $SRV_IF)" != "$FIRST" ] || break
        ww__stop
    done
}

# finish: true when no packet came between the last look at the counters and the end
finish() {
    quiet "$SRV" $SRV_IF
    LAST=$(counters "$SRV" $SRV_IF)
    ended=$(queues)
    ww__stop
    [ "$(counters "$SRV" $SRV_IF)" = "$LAST" ]
}

# line DIRECTION JQ: out of the ledger's line for that direction
line() {
    ledger "$TMP/flows" ".lines[] | select(.direction == \"$1\") | $2"
}

seen() { line "$1" '"\(.seen.packets) \(.seen.bytes)"'; }
flows() { line "$1" '[.flow, .overflowed] | "\(map(.packets) | add) \(map(.bytes) | add)"'; }
named() { line "$1" '[to_entries[] | select(.key | IN("seen", "samples", "driver") | not) | .value | objects]
    | "\(map(.packets) | add) \(map(.bytes) | add)"'; }

# veth takes the Ethernet header off before it counts bytes that it received with native XDP (drivers/net/veth.c: skb->len
# after eth_type_trans).
compare() {
    local what=$1 header=$2 direction rx rxb tx txb rx0 rxb0 tx0 txb0
    read -r rx0 rxb0 tx0 txb0 <<<"$FIRST"
    read -r rx rxb tx txb <<<"$LAST"
    rx=$((rx - rx0)) tx=$((tx - tx0)) txb=$((txb - txb0))
    rxb=$((rxb - rxb0 + header * rx))
    at_least "$what: packets received by the interface" $rx $LEAST
    is "$what: received" "$(seen receive)" "$rx $rxb"
    is "$what: transmitted" "$(seen transmit)" "$tx $txb"
    for direction in receive transmit; do
        is "$what: the difference in $direction" "$(line $direction '"\(.difference) \(.difference_bytes)"')" "0 0"
        is "$what: all that has a name in $direction" "$(named $direction)" "$(seen $direction)"
        is "$what: lost in $direction" "$(line $direction .lost.packets)" 0
    done
    is "$what: what the ledger says of the driver" \
        "$(line receive .driver.least.packets) $(line transmit .driver.most.packets)" "$rx $tx"
    is "$what: what the flow records add up to" "$(sums "$TMP/flows")" "$(flows receive) $(flows transmit)"
}

# compare_queues WHAT: the driver's own count of each queue, summed; after `compare`
compare_queues() {
    local p p0 b b0 d d0
    read -r p0 b0 d0 <<<"$QUEUES"
    read -r p b d <<<"$ended"
    is "$1: received, summed over the driver's queues" "$(seen receive)" "$((p - p0)) $((b - b0 + 14 * (p - p0)))"
    is "$1: drops in the driver's queues" $((d - d0)) 0
}

try() {
    local what=$1 header=$2 n
    shift 2
    for n in 1 2 3; do
        start "$@"
        load
        finish && break
    done
    compare "$what" "$header"
    [ "$header" -eq 0 ] || compare_queues "$what"
    echo "$what: received $(seen receive), transmitted $(seen transmit) (packets, bytes)"
}

try "native" 14 --mode native --interval 1
try "generic" 0 --mode generic --interval 1
[ -z "${WW_GUEST-}" ] || exit 0 # what follows differs by table, not by kernel, and an emulated one takes its time
try "the kernel's hash" 14 --mode native --interval 2 --table hash
try "a table that is far too small" 14 --mode native --interval 1 --flows 256
