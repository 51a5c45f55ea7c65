# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The kernel's own packet generator, at $CLI_IF in $CLI, with wirewho at $SRV_IF in $SRV. Source it after lib.sh and
# cards.bash.
#
#     pktgen__holds_on                      before 6.7 it holds on to what it hands over: a generic XDP program that gets
#                                           such a packet stops the kernel
#     pktgen__counted WHAT MODE COUNT [RATE]    10 100 flows: what it says that it sent is what is counted

# It has its files in each network namespace.
pktgen__sender() { nsenter --net="/run/netns/$CLI" "$@"; }
pktgen__said() { pktgen__sender cat "/proc/net/pktgen/$CLI_IF"; }

# pktgen__put FILE LINE
pktgen__put() {
    # shellcheck disable=SC2016 # for the shell inside
    pktgen__sender sh -c 'echo "$2" >"/proc/net/pktgen/$1"' sh "$1" "$2" || die "pktgen does not take '$2'"
}

pktgen__device() {
    pktgen__put kpktgend_0 rem_device_all
    pktgen__put kpktgend_0 "add_device $CLI_IF"
}

pktgen__holds_on() {
    pktgen__device
    [[ $(pktgen__said) != *SHARED* ]]
}

# pktgen__send COUNT [RATE]: 100 addresses x 101 ports (the last one is not used), both moving on with each packet
pktgen__send() {
    local line
    pktgen__device
    for line in "count $1" "pkt_size 60" "clone_skb 0" "flag !SHARED" "src_min 10.1.0.1" "src_max 10.1.0.100" \
        "dst_min 10.77.0.1" "dst_max 10.77.0.1" "dst_mac $(srv cat "/sys/class/net/$SRV_IF/address")" \
        "udp_src_min 2000" "udp_src_max 2101" "udp_dst_min 9" "udp_dst_max 9" ${2:+"ratep $2"}; do
        pktgen__put "$CLI_IF" "$line"
    done
    pktgen__put pgctrl start
}

pktgen__counted() {
    local sent refused rx rxb flows missed
    ww__start "$SRV" run --no-owners -i "$SRV_IF" --mode "$2" --jsonl "$TMP/flows" --interval 5
    [ -z "${4-}" ] || cards__settled # attaching has reset the card
    missed=$(cards__missed)
    pktgen__send "$3" ${4:+"$4"}
    sent=$(pktgen__said | sed -nE 's/.*pkts-sofar: ([0-9]+) .*/\1/p')
    refused=$(pktgen__said | sed -nE 's/.*errors: ([0-9]+).*/\1/p' | head -n 1) # the ring was full: not in pkts-sofar
    sleep 1
    missed=$(($(cards__missed) - missed))
    ww__stop
    read -r rx rxb _ <<<"$(sums "$TMP/flows" 'select(.destination.port == 9)')"
    is "$1: packets and bytes in flow records" "$rx $rxb" "$((sent - missed)) $(((sent - missed) * 60))"
    is "$1: packets that pktgen sent" "$sent" "$3"
    is "$1: lost" "$(ledger "$TMP/flows" '[.lines[] | select(.direction == "receive") | .lost.packets, .difference] | add')" 0
    flows=$(jq -r 'select(.destination.port == 9) | "\(.source.ip) \(.source.port)"' "$TMP/flows" | sort -u | wc -l)
    at_least "$1: flows" "$flows" $((10000 - missed))
    echo "$1: $sent packets of $flows flows, $refused refused, $missed missed by the card;" \
        "pktgen: $(pktgen__said | grep -oE '[0-9]+pps')"
    pktgen__put kpktgend_0 rem_device_all
}
