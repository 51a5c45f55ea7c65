#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# The server hands its interface packets of up to 64 kB, and wirewho counts the wire frames they become: a router behind
# it cuts them in software, and the client's interface counts what arrives.
. "$(dirname "$0")/lib.sh"

net__path
need iperf3
offload "$SRV" $SRV_IF on tso gso tx sg
offload "$RTR" ww-in on gro
offload "$RTR" ww-out off tso gso
offload "$CLI" $CLI_IF off gro
nginx__start "$SRV" 2
bg "$SRV" iperf3 -s -p 5201 >/dev/null 2>&1
# nobody asks who has which address while we count: only flows pass
neighbours() {
    local ns=$1 dev=$2 mac=$3 address
    for address in "${@:4}"; do
        must ip -n "$ns" neigh replace "$address" dev "$dev" lladdr "$mac" nud permanent
    done
}
mac() { ip netns exec "$1" cat "/sys/class/net/$2/address"; }
neighbours "$SRV" $SRV_IF "$(mac "$RTR" ww-in)" 10.77.1.254 fd77:1::254
neighbours "$RTR" ww-in "$(mac "$SRV" $SRV_IF)" $SRV4 $SRV6
neighbours "$RTR" ww-out "$(mac "$CLI" $CLI_IF)" $CLI4 $CLI6
neighbours "$CLI" $CLI_IF "$(mac "$RTR" ww-out)" 10.77.2.254 fd77:2::254

least=60000
[ -z "${WW_GUEST-}" ] || least=$((least / ${WW_SLOW:-1})) # as nginx__start's file
# count WHAT FILTER CMD...: what the client's interface received while CMD ran, and what wirewho says that was sent
count() {
    local what=$1 only=$2 rx rxb rx0 rxb0 own own0
    shift 2
    quiet "$CLI" $CLI_IF
    read -r rx0 rxb0 _ <<<"$(counters "$CLI" $CLI_IF)"
    own0=$(counter "$SRV" $SRV_IF tx_packets)
    ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/flows"
    must "$@"
    quiet "$CLI" $CLI_IF
    ww__stop
    read -r rx rxb _ <<<"$(counters "$CLI" $CLI_IF)"
    own=$(($(counter "$SRV" $SRV_IF tx_packets) - own0))
    read -r _ _ tx txb <<<"$(sums "$TMP/flows" "$only")"
    is "$what: packets and bytes sent" "$tx $txb" "$((rx - rx0)) $((rxb - rxb0))"
    at_least "$what: packets" "$tx" $least
    at_least "$what: packets for each that the server's interface counted" "$(awk "BEGIN { print $tx / $own }")" 2
    echo "$what: $tx packets, $txb bytes on the wire; the server's interface counted $own packets"
}

count "nginx, IPv4" . cli curl -fsS -o /dev/null http://$SRV4/big
count "nginx, IPv6" . cli curl -fsS -o /dev/null "http://[$SRV6]/big"
count "iperf3" . cli iperf3 -c $SRV4 -R -t 2 -P 2 --logfile "$TMP/iperf"
count "iperf3, IPv6" . cli iperf3 -c $SRV6 -R -t 2 --logfile "$TMP/iperf"

# tunnel NS DEV FAR ADDRESS
tunnel() {
    ip -n "$1" link add ww-vx type vxlan id 7 remote "$3" dstport 4789 dev "$2" 2>"$TMP/vx" || return
    must ip -n "$1" link set ww-vx addrgenmode none # and no router is asked for meanwhile
    must ip -n "$1" address add "$4" dev ww-vx
    must ip -n "$1" link set ww-vx up
}

# In a tunnel each segment repeats the headers inside too.
if tunnel "$SRV" $SRV_IF $CLI4 10.78.0.1/24; then
    tunnel "$CLI" $CLI_IF $SRV4 10.78.0.2/24
    offload "$RTR" ww-out off tx-udp_tnl-segmentation tx-udp_tnl-csum-segmentation
    neighbours "$SRV" ww-vx "$(mac "$CLI" ww-vx)" 10.78.0.2
    neighbours "$CLI" ww-vx "$(mac "$SRV" ww-vx)" 10.78.0.1
    count "VXLAN" . cli iperf3 -c 10.78.0.1 -R -t 2 --logfile "$TMP/iperf"
else
    echo "VXLAN: not tried: $(cat "$TMP/vx")"
fi
is "packets that the router dropped" "$(counter "$RTR" ww-out tx_dropped) $(counter "$RTR" ww-in rx_dropped)" "0 0"
