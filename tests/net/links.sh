#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Interfaces go down and up, get another name, MTU and number of queues, are deleted and made again while we watch: each is
# said, none ends the run, and every packet is counted once. A second interface goes on meanwhile. Two runs watch at the same
# time, by XDP and by tc.
. "$(dirname "$0")/lib.sh"

net__pair 1
net__veth "$SRV" ww-srv2 "$CLI" ww-cli2 2
net__address "$SRV" ww-srv2 10.78.0.1/24 fd78::1/64
net__address "$CLI" ww-cli2 10.78.0.2/24 fd78::2/64
net__wait "$SRV" ww-srv2 "$CLI" ww-cli2

cat >"$TMP/send.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	for i in range(int(sys.argv[2])):
	    s.sendto(b"x" * 100, (sys.argv[1], 9))
END
send() { must cli python3 "$TMP/send.py" "$1" "$2"; }
said() {
    local err
    for err in "$XDP_ERR" "$WW_ERR"; do
        eventually 5 grep -q -- "$1" "$err" || wrong "nothing said of '$1': $(cat "$err")"
    done
}
# datagrams LINK: UDP packets to port 9 received there, by the records
datagrams() {
    jq -s "[.[] | select(.event.kind == \"metric\" and .observer.ingress.interface.name == \"$1\") |
        (.source, .destination | select(.port != 9) | .packets)] | add // 0" "$flows"
}

ww__start "$SRV" run -i $SRV_IF -i ww-srv2 --jsonl "$TMP/xdp" --interval 1
xdp_pid=$WW_PID XDP_ERR=$WW_ERR
ww__start "$SRV" run -i $SRV_IF -i ww-srv2 --jsonl "$TMP/tc" --interval 1 --mode tc
send $SRV4 100
send 10.78.0.1 1000

must ip -n "$SRV" link set $SRV_IF down
said "$SRV_IF is down"
must ip -n "$SRV" link set $SRV_IF mtu 1400
said "$SRV_IF has an MTU of 1400 now (was 1500)"
must ip -n "$SRV" link set $SRV_IF name ww-new
said "$SRV_IF is called ww-new now"
must ip -n "$SRV" link set ww-new up
said "ww-new is up"
net__wait "$SRV" ww-new "$CLI" $CLI_IF
send $SRV4 200
sleep 2.5 # a record bears the name of its time
must ip -n "$SRV" link set ww-new down
must ip -n "$SRV" link set ww-new name $SRV_IF
said "ww-new is called $SRV_IF now"
must ip -n "$SRV" link set $SRV_IF up
net__wait "$SRV" $SRV_IF "$CLI" $CLI_IF
send $SRV4 400

must ip -n "$SRV" link del $SRV_IF
said "$SRV_IF was deleted"
send 10.78.0.1 2000
net__veth "$SRV" $SRV_IF "$CLI" $CLI_IF 1
net__address "$SRV" $SRV_IF $SRV4/24 $SRV6/64
net__address "$CLI" $CLI_IF $CLI4/24 $CLI6/64
said "$SRV_IF is back: watching it again"
net__wait "$SRV" $SRV_IF "$CLI" $CLI_IF
send $SRV4 800

# a veth that sends needs as many at the other end, so that end goes first; queues are looked at once a second
must cli ethtool -L ww-cli2 tx 1 rx 1
must srv ethtool -L ww-srv2 tx 1 rx 1
said "ww-srv2 has 1 receive queue now (was 2)"
net__wait "$SRV" ww-srv2 "$CLI" ww-cli2
send 10.78.0.1 4000
ww__stop
WW_PID=$xdp_pid WW_ERR=$XDP_ERR ww__stop

# The runs ended by our own signal, and the ledgers are whole: former lives of the interface are in them.
for flows in "$TMP/xdp" "$TMP/tc"; do
    how=${flows##*/}
    is "$how: lines of the ledger that do not close" "$(ledger "$flows" '[.lines[] | select(.difference != 0 or .difference_bytes != 0)] | length')" 0
    is "$how: lines of the ledger" "$(ledger "$flows" '[.lines[].interface] | unique | join(" ")')" "$SRV_IF ww-srv2"
    is "$how: datagrams on the interface that came and went" "$(($(datagrams $SRV_IF) + $(datagrams ww-new)))" 1500
    is "$how: datagrams on the other" "$(datagrams ww-srv2)" 7000
    at_least "$how: packets under the new name" "$(datagrams ww-new)" 200
done
