#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Tap is refused where it would cut this host off, and only there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

cap__pair 1

refused() {
    rm -f "$CAP_FILE"
    srv timeout 10 "$WIREWHO" capture -i $SRV_IF --sample tap -w "$CAP_FILE" 2>"$CAP_ERR"
    is "$1: the exit code" $? 1
    contains "$1: the message" "$(cat "$CAP_ERR")" "tap $SRV_IF: it carries this host's own address $2"
    contains "$1: the message" "$(cat "$CAP_ERR")" "--force"
    [ ! -e "$CAP_FILE" ] || wrong "$1: the file was made"
}

allowed() {
    cap__start
    cap__end
    lacks "$1: the messages" "$(cat "$CAP_ERR")" "address"
}

link_local() {
    srv ip -6 -o address show dev $SRV_IF scope link | grep -q fe80
}

eventually 5 link_local || die "the veth gave itself no link-local address"
allowed "link-local only"

must ip -n "$SRV" address add $SRV4/24 dev $SRV_IF
refused "IPv4" $SRV4
cap__start --sample tap --force 'udp port 9000'
cap__send 100 --rate 1000
cap__end
contains "forced: the note" "$(cat "$CAP_ERR")" "will not reach it (--force)"
is "forced: captured" "$(cap__number written)" 100
must ip -n "$SRV" address del $SRV4/24 dev $SRV_IF

must ip -n "$SRV" address add $SRV6/64 dev $SRV_IF nodad
refused "IPv6" $SRV6
must ip -n "$SRV" address del $SRV6/64 dev $SRV_IF
allowed "without address again"

# the address is on what stands above: this host receives through it all the same
if ip -n "$SRV" link add ww-up link $SRV_IF type macvlan mode bridge 2>/dev/null ||
    { ip -n "$SRV" link add ww-up type bridge 2>/dev/null && ip -n "$SRV" link set $SRV_IF master ww-up; }; then
    must ip -n "$SRV" link set ww-up up
    allowed "an interface above without address"
    must ip -n "$SRV" address add $SRV4/24 dev ww-up
    refused "an address above" "$SRV4 (on ww-up)"
else
    echo "not tested here: neither macvlan nor bridge can be made"
fi
exit 0
