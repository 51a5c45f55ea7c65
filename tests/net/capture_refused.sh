#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What capture refuses, with which exit code, and what it says.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

cap__pair 1
chmod 755 "$TMP"
must cp "$WIREWHO" "$TMP/wirewho" # where `nobody` can read it, too
WIREWHO=$TMP/wirewho

# says WHAT CODE PART CMD...
says() {
    local what=$1 code=$2 part=$3
    shift 3
    srv timeout 10 "$@" >"$TMP/out" 2>"$TMP/err" </dev/null
    is "$what: the exit code" $? "$code"
    contains "$what: the message" "$(cat "$TMP/err")" "$part"
    is "$what: what is on the interface" "$(hooks "$SRV" "$SRV_IF")" "$hooks"
}

capture() {
    says "$1" "$2" "$3" "$WIREWHO" capture -w "$TMP/file" "${@:4}"
}

hooks=$(hooks "$SRV" "$SRV_IF")

# wrong usage
says "no file" 2 '-w FILE' "$WIREWHO" capture -i $SRV_IF
capture "no interface" 2 '-i IF'
capture "no such way to sample" 2 'tap, inline, copy' -i $SRV_IF --sample all
capture "no expression" 2 'prot' -i $SRV_IF 'tcp prot 80'
capture "no queues" 2 'queues' -i $SRV_IF --queues 0
capture "snaplen too large" 2 'snaplen' -i $SRV_IF -s 262145
capture "no XDP program to take packets by" 2 '--mode auto, native or generic' -i $SRV_IF --mode tc
capture "twice the same" 2 'twice' -i $SRV_IF -i $SRV_IF

# cannot be done
capture "unknown interface" 1 'nosuch0' -i nosuch0
capture "no zero-copy here" 1 'try --bind copy' -i $SRV_IF --bind zerocopy
capture "no zero-copy in generic mode" 1 'try --bind copy' -i $SRV_IF --bind zerocopy --mode generic
says "not root" 1 'root' setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$WIREWHO" capture -i $SRV_IF -w /dev/null
must ip -n "$SRV" link add ww-down type veth peer name ww-gone
capture "an interface that is down" 1 'ip link set dev ww-down up' -i ww-down

# two at once
cap__start
hooks=$(hooks "$SRV" "$SRV_IF")
says "somebody was first" 1 'wirewho_meter' "$WIREWHO" capture -i $SRV_IF -w "$TMP/file"
kill -0 "$CAP_PID" || wrong "the first capture has ended"
cap__end
exit 0
