#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# 802.1Q: a VLAN and its parent, watched together and apart, count the same packets and name the same process; a total has
# them once. So it is with a VLAN on a VLAN, and with --mode tc, wherever the tag is.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/places.bash"

place__kind VLANs 8021q
net__pair 1
# Else a veth hands the tag on beside the frame, where no XDP program can see it; a real wire has it inside.
offload "$CLI" $CLI_IF off tx-vlan-hw-insert
must ip -n "$SRV" link add link $SRV_IF name ww-vlan type vlan id 5
must ip -n "$CLI" link add link $CLI_IF name ww-vlan type vlan id 5
place__address "$SRV" ww-vlan 5
place__address "$CLI" ww-vlan 5
place__echo "$SRV"

ww__start "$SRV" run -i ww-vlan -i $SRV_IF --jsonl "$TMP/both"
place__ask "$CLI" 10.77.5.1 200
place__ask "$CLI" $SRV4 100
ww__stop
tagged="$TMP/both.tagged"
jq -c 'select(.source.ip != "10.77.0.2" and .destination.ip != "10.77.0.2")' "$TMP/both" >"$tagged"
place__is both "$tagged" ww-vlan "$ECHO" 200 142
place__is both "$tagged" $SRV_IF "$ECHO" 200 146
place__total both "$TMP/both" 600
is "records that are marked as repeated" "$(jq -r 'select(.wirewho.repeated) | .observer.ingress.interface.name' "$TMP/both" | sort -u)" ww-vlan

ww__start "$SRV" run -i $SRV_IF --match 'vlan 5' --jsonl "$TMP/parent"
place__ask "$CLI" 10.77.5.1 200
place__ask "$CLI" $SRV4 100
ww__stop
place__is "the parent, that VLAN alone" "$TMP/parent" $SRV_IF "$ECHO" 200 146

for end in "$SRV" "$CLI"; do
    must ip -n "$end" link add link ww-vlan name ww-inner type vlan id 7
    place__address "$end" ww-inner 8
done

# stacked WHAT MODE
stacked() {
    ww__start "$SRV" run -i ww-inner -i ww-vlan -i $SRV_IF --mode "$2" --jsonl "$TMP/stacked"
    place__ask "$CLI" 10.77.8.1 200
    ww__stop
    place__is "$1" "$TMP/stacked" ww-inner "$ECHO" 200 142
    place__is "$1" "$TMP/stacked" ww-vlan "$ECHO" 200 146
    place__is "$1" "$TMP/stacked" $SRV_IF "$ECHO" 200 150
    place__total "$1" "$TMP/stacked" 400
}
stacked "two tags in the frame, XDP" auto
offload "$CLI" $CLI_IF on tx-vlan-hw-insert
stacked "the outer tag beside the frame, tc" tc

place__advice ww-vlan "VLAN 5 on $SRV_IF" "wirewho top -i $SRV_IF --match 'vlan 5'"
exit 0
