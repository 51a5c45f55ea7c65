#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# --mode tc: what is received counts as the frames on the wire, whether they came one by one, were merged (GRO) or never cut
# up at all (TSO and UDP GSO at the peer): as the interface says, and as XDP does at the far side of a bridge, where they
# come in single frames. The peer keeps its segmentation offload, owners are those of XDP, and nothing stays attached.
. "$(dirname "$0")/lib.sh"

need_root
need iperf3 ethtool jq bpftool python3
net__ns "$SRV"
net__ns "$RTR"
net__ns "$CLI"
net__veth "$CLI" $CLI_IF "$RTR" ww-out 1
net__veth "$RTR" ww-in "$SRV" $SRV_IF 1
must ip -n "$RTR" link add ww-br type bridge mcast_snooping 0 # a snooping one has things to say
for dev in ww-br ww-in ww-out; do
    must rtr sh -c "echo 1 >/proc/sys/net/ipv6/conf/$dev/disable_ipv6"
    [ $dev = ww-br ] || must ip -n "$RTR" link set $dev master ww-br
    must ip -n "$RTR" link set $dev up
done
net__address "$SRV" $SRV_IF $SRV4/24 $SRV6/64
net__address "$CLI" $CLI_IF $CLI4/24 $CLI6/64
net__wait "$SRV" $SRV_IF "$CLI" $CLI_IF "$RTR" ww-in "$RTR" ww-out
offload "$RTR" ww-out on gro
bg "$SRV" iperf3 -s -p 5201 >/dev/null 2>&1
nginx__start "$SRV" 2
# Without tcx there are filters instead, on a clsact, which stays: others may have come to use it.
must rtr tc qdisc add dev ww-out clsact
must srv tc qdisc add dev $SRV_IF clsact
before=$(hooks "$RTR" ww-out; hooks "$SRV" $SRV_IF)

cat >"$TMP/udp.py" <<-'END'
	import socket, sys # UDP_SEGMENT: one call for many datagrams, the last one shorter
	for host in sys.argv[1:]:
	    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
	    s.setsockopt(socket.IPPROTO_UDP, 103, 1200)
	    for i in range(200):
	        s.sendto(b"x" * (1200 * 20 + 7), (host, 9))
	        if i % 5 == 4: # a veth holds 256 frames: wait until it has handed on what came before
	            socket.create_connection((host, 80)).close()
END
for_long="-t 1" # what a slow machine sends in a second may be little
[ -z "${WW_GUEST-}" ] || for_long="-n 15M"
load() { # with windows that a veth's ring has room for: what is lost on the way is counted at one end only
    # shellcheck disable=SC2086 # two words
    must cli iperf3 -c $SRV4 -w 64K $for_long --logfile "$TMP/iperf"
    # shellcheck disable=SC2086 # two words
    must cli iperf3 -c $SRV6 -w 64K $for_long --logfile "$TMP/iperf"
    must cli python3 "$TMP/udp.py" $SRV4 $SRV6
    must cli curl -fsS -o /dev/null http://$SRV4/small
    must cli curl -fsS -o /dev/null "http://[$SRV6]/small"
}

tso() { ip netns exec "$1" ethtool -k "$2" | sed -n 's/^tcp-segmentation-offload: //p'; }
xdp() { ip -n "$1" -j -d link show "$2" | jq -r '.[].xdp.prog.id // "none"'; }
# line FILE DIRECTION JQ: out of the ledger's line for that direction
line() { ledger "$TMP/$1" ".lines[] | select(.direction == \"$2\") | $3"; }
seen() { line "$1" "$2" '"\(.seen.packets) \(.seen.bytes)"'; }
# owners: whose the server's ports are: "80 nginx, ..."
owners() {
    jq -r 'select(.event.kind == "metric" and .wirewho.local == "destination") |
        "\(.destination.port) \(.process.name // "-")"' "$TMP/srv" | sort -u | paste -sd ,
}

# start MODE: at the bridge's port by tc, at the server in that mode; until no packet falls in between
start() {
    while quiet "$RTR" ww-out; do
        FIRST=$(counters "$RTR" ww-out)
        ww__start "$SRV" run -i $SRV_IF --mode "$1" --interval 1 --jsonl "$TMP/srv"
        srv_pid=$WW_PID srv_err=$WW_ERR
        ww__start "$RTR" run -i ww-out --mode tc --jsonl "$TMP/out"
        [ "$(counters "$RTR" ww-out)" != "$FIRST" ] || break
        stop
    done
}

stop() {
    LAST=$(counters "$RTR" ww-out)
    ww__stop
    WW_PID=$srv_pid WW_ERR=$srv_err ww__stop
}

# count WHAT SERVER'S-MODE TSO: the load, and both ends' counts of it
count() {
    local what=$1 mode=$2 file
    start "$mode"
    is "$what: how it is watched" "$(grep -o 'watching ww-out (tc' "$WW_ERR")" "watching ww-out (tc"
    is "$what: XDP programs on the bridge's port" "$(xdp "$RTR" ww-out)" none
    is "$what: the client's segmentation offload" "$(tso "$CLI" $CLI_IF)" "$3"
    load
    quiet "$RTR" ww-out
    sleep 1 # the counters' last words, and what the bridge has still to hand on
    stop
    is "$what: received at the port, and at the server" "$(seen out receive)" "$(seen srv receive)"
    is "$what: sent to the client, and by the server" "$(seen out transmit)" "$(seen srv transmit)"
    for file in out srv; do
        is "$what: differences in $file" \
            "$(ledger "$TMP/$file" '[.lines[] | .difference, .difference_bytes] | unique | join(" ")')" 0
        is "$what: lost in $file" "$(ledger "$TMP/$file" '[.lines[].lost.packets] | unique | join(" ")')" 0
    done
    is "$what: how the ledger says it was counted" \
        "$(line out receive .attach | cut -d , -f 1) $(line srv receive .attach | cut -d , -f 1)" "tc $mode"
    at_least "$what: packets received" "$(line out receive .seen.packets)" 20000
    is "$what: owners" "$(owners)" "5201 iperf3,80 nginx,9 -"
    echo "$what: received $(seen out receive), transmitted $(seen out transmit) (packets, bytes)"
}

# The client cuts, so that the port's own counters are those of the wire; the port's GRO merges before tc sees it.
offload "$CLI" $CLI_IF off tso gso tx-udp-segmentation
sent=$(counter "$RTR" ww-in tx_packets)
count "merged" tc off
sent=$(($(counter "$RTR" ww-in tx_packets) - sent))
read -r rx0 rxb0 _ <<<"$FIRST"
read -r rx rxb _ <<<"$LAST"
# a veth that merges takes the Ethernet header off before it counts bytes (drivers/net/veth.c: skb->len after eth_type_trans)
is "merged: received, and the interface's counters" "$(seen out receive)" "$((rx - rx0)) $((rxb - rxb0 + 14 * (rx - rx0)))"
is "merged: what the ledger says of the driver" "$(line out receive .driver.least.packets)" "$((rx - rx0))"
at_least "merged: frames for each that the bridge handed on" "$((rx - rx0))" "$((sent * 2))"

# Nobody cuts before the bridge has to: because of native XDP at the server.
offload "$CLI" $CLI_IF on tso gso tx-udp-segmentation
count "in one piece" native on
read -r rx0 _ <<<"$FIRST"
read -r rx _ <<<"$LAST"
at_least "in one piece: frames for each that the port's interface counted" "$(line out receive .seen.packets)" $(((rx - rx0) * 2))

# To know that it could have gone wrong: native XDP at the port does turn it off.
ww__start "$RTR" run -i ww-out --mode native --jsonl "$TMP/out"
is "the client's segmentation offload, with native XDP" "$(tso "$CLI" $CLI_IF)" off
contains "what is said of it" "$(cat "$WW_ERR")" "--mode tc does not"
ww__stop

ww__start "$RTR" run -i ww-out --mode tc --jsonl "$TMP/out"
holds=$(ww__holds)
contains "what wirewho holds" "$holds" "prog "
ww__stop KILL
must rtr "$WIREWHO" cleanup >/dev/null
eventually 5 ww__released "$holds" || wrong "after SIGKILL this is still loaded: $(ww__left "$holds")"
is "what hangs on the interfaces" "$(hooks "$RTR" ww-out; hooks "$SRV" $SRV_IF)" "$before"
