#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# The kernel's own packet generator over a veth: 10 000 flows, and as many packets as pktgen says that it sent; with
# WW_PKTGEN=1000000 a million.
. "$(dirname "$0")/../../net/lib.sh"

COUNT=${WW_PKTGEN:-50000}
modprobe pktgen || skip "this kernel has no pktgen"
ip link show ww-gen >/dev/null 2>&1 && die "there is a ww-gen already"
net__ns "$SRV"
must ip link add ww-gen type veth peer name $SRV_IF netns "$SRV"
trap 'code=$?; echo rem_device_all >/proc/net/pktgen/kpktgend_0; ip link del ww-gen 2>/dev/null; (exit $code); net__cleanup' EXIT
must ip link set ww-gen up
must ip -n "$SRV" link set $SRV_IF up
net__wait "$SRV" $SRV_IF

pg() { echo "$2" >"/proc/net/pktgen/$1" || die "pktgen does not take '$2'"; }

holds_on() {
    local said
    pg kpktgend_0 rem_device_all
    pg kpktgend_0 "add_device ww-gen"
    said=$(cat /proc/net/pktgen/ww-gen)
    [[ $said != *SHARED* ]]
}

generate() {
    pg kpktgend_0 rem_device_all
    pg kpktgend_0 "add_device ww-gen"
    pg ww-gen "count $1"
    pg ww-gen "pkt_size 60"
    pg ww-gen "clone_skb 0"
    pg ww-gen "flag !SHARED"
    pg ww-gen "src_min 10.1.0.1"
    pg ww-gen "src_max 10.1.0.100"
    pg ww-gen "dst_min 10.77.0.1"
    pg ww-gen "dst_max 10.77.0.1"
    pg ww-gen "dst_mac $(srv cat /sys/class/net/$SRV_IF/address)"
    pg ww-gen "udp_src_min 2000"
    pg ww-gen "udp_src_max 2101" # the last one is not used: 100 addresses x 101 ports, both moving on with each packet
    pg ww-gen "udp_dst_min 9"
    pg ww-gen "udp_dst_max 9"
    pg pgctrl start
}

# Before 6.7 pktgen holds on to what it hands over, and a generic XDP program that gets it stops the kernel.
modes=native
if holds_on; then
    echo "generic: not tried: this kernel's pktgen holds on to the packets that it sends"
else
    modes="native generic"
fi
for mode in $modes; do
    ww__start "$SRV" run --no-owners -i $SRV_IF --mode $mode --jsonl "$TMP/flows" --interval 5
    generate "$COUNT"
    said=$(cat /proc/net/pktgen/ww-gen)
    sent=$(sed -nE 's/.*pkts-sofar: ([0-9]+) .*/\1/p' <<<"$said")
    sleep 1
    ww__stop
    refused=$(sed -nE 's/.*errors: ([0-9]+).*/\1/p' <<<"$said" | head -n 1) # the ring was full: not in pkts-sofar
    read -r rx rxb _ <<<"$(sums "$TMP/flows" 'select(.destination.port == 9)')"
    is "$mode: packets and bytes in flow records" "$rx $rxb" "$sent $((sent * 60))"
    is "$mode: packets that pktgen sent" "$sent" "$COUNT"
    is "$mode: lost" "$(ledger "$TMP/flows" '[.lines[] | select(.direction == "receive") | .lost.packets, .difference] | add')" 0
    flows=$(jq -r 'select(.destination.port == 9) | "\(.source.ip) \(.source.port)"' "$TMP/flows" | sort -u | wc -l)
    at_least "$mode: flows" "$flows" 10000
    echo "$mode: $sent packets of $flows flows, $refused refused; pktgen: $(grep -oE '[0-9]+pps' <<<"$said")"
done
exit 0
