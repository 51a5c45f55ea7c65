#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 60
# A bond of two ports that takes turns, and one that changes over: the ports together count each packet once, the bond
# alone too, and all three together.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/places.bash"

place__kind bonds bonding

# bond NS: ww-bond on ww-p0 and ww-p1
bond() {
    local port
    must ip -n "$1" link add ww-bond type bond mode "$MODE" miimon 50
    for port in ww-p0 ww-p1; do
        must ip -n "$1" link set $port down
        must ip -n "$1" link set $port master ww-bond
    done
    place__address "$1" ww-bond 6
}

lab() {
    MODE=$1
    net__ns "$SRV"
    net__ns "$CLI"
    net__veth "$SRV" ww-p0 "$CLI" ww-p0 1
    net__veth "$SRV" ww-p1 "$CLI" ww-p1 1
    bond "$SRV"
    bond "$CLI"
    net__wait "$SRV" ww-bond "$CLI" ww-bond
    place__echo "$SRV"
    place__ask "$CLI" 10.77.6.1 5
}

# by_port FILE PORT: received there
by_port() {
    read -r rx _ <<<"$(sums "$1" "$ECHOES | select(.observer.ingress.interface.name == \"$2\")")"
    echo "$rx"
}

owners() {
    jq -rn "[inputs | select(.event.kind == \"metric\") | $ECHOES | .process.pid] | unique | join(\" \")" "$1"
}

lab balance-rr
ww__start "$SRV" run -i ww-p0 -i ww-p1 --jsonl "$TMP/ports"
place__ask "$CLI" 10.77.6.1 200
ww__stop
place__total "the ports" "$TMP/ports" 400
is "the ports: whose packets" "$(owners "$TMP/ports")" "$ECHO"
at_least "received on one port" "$(by_port "$TMP/ports" ww-p0)" 50
at_least "received on the other" "$(by_port "$TMP/ports" ww-p1)" 50

ww__start "$SRV" run -i ww-bond --jsonl "$TMP/bond"
said=$(cat "$WW_ERR")
place__ask "$CLI" 10.77.6.1 200
ww__stop
place__is "the bond" "$TMP/bond" ww-bond "$ECHO" 200 142
place__total "the bond" "$TMP/bond" 400
echo "the bond by itself: $(grep -o 'XDP [a-z]*' <<<"$said" | tail -n 1)"

ww__start "$SRV" run --mode generic -i ww-p0 -i ww-bond -i ww-p1 --jsonl "$TMP/all"
place__ask "$CLI" 10.77.6.1 200
ww__stop
place__is "all three" "$TMP/all" ww-bond "$ECHO" 200 142
place__total "all three" "$TMP/all" 400
is "all three: what is repeated" "$(jq -r 'select(.wirewho.repeated) | .observer.ingress.interface.name' "$TMP/all" | sort -u)" ww-bond

place__advice ww-bond "a bond" "wirewho top -i ww-p0 -i ww-p1"
place__advice ww-p0 "a port of ww-bond, a bond" ""
net__kill
ip netns del "$SRV"
ip netns del "$CLI"

lab active-backup
ww__start "$SRV" run -i ww-p0 -i ww-p1 --jsonl "$TMP/over"
active=$(srv cat /sys/class/net/ww-bond/bonding/active_slave)
place__ask "$CLI" 10.77.6.1 100
must ip -n "$SRV" link set "$active" down
sleep 1
place__ask "$CLI" 10.77.6.1 100
ww__stop
place__total "changed over" "$TMP/over" 400
is "changed over: whose packets" "$(owners "$TMP/over")" "$ECHO"
is "changed over: received on the first" "$(by_port "$TMP/over" "$active")" 100
exit 0
