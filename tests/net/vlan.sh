#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Tagged frames from one end to the other through a bridge, which takes the outer tag out of the frame and carries it
# beside. Wherever they are counted, sent or received, with the tag inside or beside: the same flows, packets and bytes.
. "$(dirname "$0")/lib.sh"

need_root
need python3 ethtool jq
REPLAY=$WW_ROOT/tests/net/replay.py

# silent NS IF: without addresses it has nothing to say of its own
silent() {
    must ip netns exec "$1" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$2/disable_ipv6"
    must ip -n "$1" link set "$2" mtu 1600 up
    offload "$1" "$2" off tso gso gro
}

net__ns "$SRV"
net__ns "$RTR"
net__ns "$CLI"
net__veth "$CLI" $CLI_IF "$RTR" ww-in 1
net__veth "$RTR" ww-out "$SRV" $SRV_IF 1
must ip -n "$RTR" link add ww-br type bridge mcast_snooping 0 # a snooping one has things to say
must ip -n "$RTR" link set ww-in master ww-br
must ip -n "$RTR" link set ww-out master ww-br
must rtr sh -c 'echo 1 >/proc/sys/net/ipv6/conf/ww-br/disable_ipv6'
must ip -n "$RTR" link set ww-br mtu 1600 up
silent "$CLI" $CLI_IF
silent "$RTR" ww-in
silent "$RTR" ww-out
silent "$SRV" $SRV_IF
# Else a veth hands the tag on beside the frame, where no XDP program can see it; a real wire has it inside.
offload "$RTR" ww-out off tx-vlan-hw-insert tx-vlan-stag-hw-insert
net__wait "$SRV" $SRV_IF "$CLI" $CLI_IF "$RTR" ww-in "$RTR" ww-out

# start NAME NS ARG...: a run of wirewho that writes to $TMP/NAME
declare -A PIDS ERRS
start() {
    local name=$1 ns=$2
    shift 2
    ww__start "$ns" run --jsonl "$TMP/$name" "$@"
    PIDS[$name]=$WW_PID ERRS[$name]=$WW_ERR
}

stop_all() {
    local name
    for name in "${!PIDS[@]}"; do
        WW_PID=${PIDS[$name]} WW_ERR=${ERRS[$name]} ww__stop
    done
    PIDS=()
}

# agree MODE: counted at the sender (tc), at the bridge's two ends (XDP, tc), and at the receiver (XDP)
agree() {
    local mode=$1 at
    start sent "$CLI" -i $CLI_IF --mode "$mode"
    start into "$RTR" -i ww-in --mode "$mode"
    start out "$RTR" -i ww-out --mode "$mode"
    start received "$SRV" -i $SRV_IF --mode "$mode"
    must cli python3 "$REPLAY" tagged $CLI_IF "$TMP/expected" >/dev/null
    quiet "$SRV" $SRV_IF
    stop_all
    for at in "sent transmit" "into receive" "out transmit" "received receive"; do
        # shellcheck disable=SC2086 # two words
        set -- $at
        python3 "$REPLAY" check "$TMP/expected" "$TMP/$1" "$2" || wrong "$mode: $at"
    done
}

# matched FILE DIRECTION TAGGED UNTAGGED: packets and bytes of the records, and of what the selection leaves out
matched() {
    local direction=$2 rx rxb tx txb got
    read -r rx rxb tx txb <<<"$(sums "$TMP/$1")"
    got="$rx $rxb"
    [ "$direction" = receive ] || got="$tx $txb"
    is "$1: packets and bytes with a tag" "$got" "$3"
    is "$1: without" "$(ledger "$TMP/$1" ".lines[] | select(.direction == \"$direction\") | .unmatched |
        \"\(.packets) \(.bytes)\"")" "$4"
}

# select_tags MODE EXPRESSION: all tagged frames have 5 as their outer id
select_tags() {
    local mode=$1 sent tags tag_bytes plain plain_bytes all="0 0"
    start sent "$CLI" -i $CLI_IF --mode "$mode" --match "$2"
    start into "$RTR" -i ww-in --mode "$mode" --match "$2"
    start out "$RTR" -i ww-out --mode "$mode" --match "$2"
    sent=$(must cli python3 "$REPLAY" tagged $CLI_IF "$TMP/expected")
    quiet "$SRV" $SRV_IF
    stop_all
    read -r tags tag_bytes plain plain_bytes <<<"$sent"
    at_least "frames with a tag" "$tags" 60
    all="$tags $tag_bytes" plain="$plain $plain_bytes"
    [ "$2" != "vlan 6" ] || all="0 0" plain="$((tags + ${plain% *})) $((tag_bytes + plain_bytes))"
    matched sent transmit "$all" "$plain"
    matched into receive "$all" "$plain"
    matched out transmit "$all" "$plain"
}

agree native
agree generic
select_tags auto "vlan"
select_tags auto "vlan 5"
select_tags auto "vlan 6"
select_tags tc "vlan 5"

# The veth hands the tag on beside the frame: tc sees it there, too.
offload "$RTR" ww-out on tx-vlan-hw-insert tx-vlan-stag-hw-insert
agree tc
