#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Frames of up to 9014 bytes, which the driver hands to XDP in several buffers: native XDP attaches at this MTU, and
# each is counted with its whole length.
. "$(dirname "$0")/lib.sh"

net__pair
need iperf3 python3 ethtool jq
must ip -n "$SRV" link set $SRV_IF mtu 9000
must ip -n "$CLI" link set $CLI_IF mtu 9000
offload "$SRV" $SRV_IF off tso gso gro
offload "$CLI" $CLI_IF off tso gso gro
bg "$SRV" iperf3 -s -p 5201 >/dev/null 2>&1

# Nobody asks who has which address, or for routers: nothing moves that the test did not send.
must srv sh -c "echo 0 >/proc/sys/net/ipv6/conf/$SRV_IF/router_solicitations"
must cli sh -c "echo 0 >/proc/sys/net/ipv6/conf/$CLI_IF/router_solicitations"
mac() { ip netns exec "$1" cat "/sys/class/net/$2/address"; }
for address in $CLI4 $CLI6; do
    must ip -n "$SRV" neigh replace "$address" dev $SRV_IF lladdr "$(mac "$CLI" $CLI_IF)" nud permanent
done
for address in $SRV4 $SRV6; do
    must ip -n "$CLI" neigh replace "$address" dev $CLI_IF lladdr "$(mac "$SRV" $SRV_IF)" nud permanent
done

# datagrams FROM TO PORT: one of every tenth length up to what the MTU allows, and of every length around a page; says
# how many frames and bytes on the wire those are
cat >"$TMP/datagrams.py" <<-'END'
	import socket, sys, time
	where, port = sys.argv[1], int(sys.argv[2])
	family = socket.AF_INET6 if ":" in where else socket.AF_INET
	headers = 14 + (40 if ":" in where else 20) + 8
	most = 9014 - headers
	out = socket.socket(family, socket.SOCK_DGRAM)
	sizes = [*range(4000, most, 10), *range(3000, 4200), most]
	for i, size in enumerate(sizes):
	    out.sendto(bytes(size), (where, port))
	    if i % 50 == 0:
	        time.sleep(0.001)  # a veth holds 256 frames
	print(len(sizes), sum(sizes) + headers * len(sizes))
END
datagrams() { ip netns exec "$1" python3 "$TMP/datagrams.py" "$2" "$3"; }

# line DIRECTION JQ: out of the ledger's line for that direction
line() { ledger "$TMP/flows" ".lines[] | select(.direction == \"$1\") | $2"; }
seen() { line "$1" '"\(.seen.packets) \(.seen.bytes)"'; }
port() { sums "$TMP/flows" "select(.source.port == $1 or .destination.port == $1)"; }

# try MODE HEADER: veth takes the Ethernet header off before it counts bytes that it received with native XDP
try() {
    local mode=$1 header=$2 rx rxb tx txb rx0 rxb0 tx0 txb0 in4 in6 out4 direction
    quiet "$SRV" $SRV_IF
    read -r rx0 rxb0 tx0 txb0 <<<"$(counters "$SRV" $SRV_IF)"
    ww__start "$SRV" run -i $SRV_IF --mode "$mode" --jsonl "$TMP/flows"
    must cli iperf3 -c $SRV4 -t 1 >/dev/null
    must cli iperf3 -c $SRV6 -t 1 -R >/dev/null
    in4=$(must datagrams "$CLI" $SRV4 4004)
    in6=$(must datagrams "$CLI" $SRV6 6006)
    out4=$(must datagrams "$SRV" $CLI4 4007)
    quiet "$SRV" $SRV_IF
    read -r rx rxb tx txb <<<"$(counters "$SRV" $SRV_IF)"
    ww__stop
    rx=$((rx - rx0)) tx=$((tx - tx0)) txb=$((txb - txb0))
    rxb=$((rxb - rxb0 + header * rx))
    contains "how XDP is attached" "$(line receive .attach)" "$mode"
    is "$mode: received" "$(seen receive)" "$rx $rxb"
    is "$mode: transmitted" "$(seen transmit)" "$tx $txb"
    is "$mode: long datagrams received, IPv4" "$(port 4004)" "$in4 0 0"
    is "$mode: long datagrams received, IPv6" "$(port 6006)" "$in6 0 0"
    is "$mode: long datagrams sent" "$(port 4007)" "0 0 $out4"
    for direction in receive transmit; do
        is "$mode: the difference in $direction" "$(line $direction .difference)" 0
        is "$mode: lost in $direction" "$(line $direction .lost.packets)" 0
        at_least "$mode: bytes a frame of iperf3 in $direction" "$(port 5201 |
            awk -v d=$direction '{ print d == "receive" ? $2 / $1 : $4 / $3 }')" 1000
    done
    echo "$mode: received $(seen receive), transmitted $(seen transmit) (packets, bytes)"
}

try native 14
try generic 0
