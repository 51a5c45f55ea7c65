#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Every frame of the corpus over a wire: what is counted where it is sent (tc) and where it arrives (XDP, native and
# generic) is what the corpus' oracle says, for each flow and each class of the rest, in packets and bytes.
. "$(dirname "$0")/lib.sh"

need_root
need python3
REPLAY=$WW_ROOT/tests/net/replay.py

# In a guest the host's, if it has made them: what is said of each frame does not depend on the kernel.
FRAMES=$WW_ROOT/.build/tests/replay.frames
if [ -z "${WW_GUEST-}" ] || [ ! -s "$FRAMES" ]; then
    FRAMES=$TMP/frames
    said=$(python3 "$REPLAY" prepare "$FRAMES") || skip "$said"
fi

# No addresses and no IPv6: neither end has anything to say of its own.
net__ns "$SRV"
net__ns "$CLI"
net__veth "$SRV" $SRV_IF "$CLI" $CLI_IF 1
for end in "$SRV $SRV_IF" "$CLI $CLI_IF"; do
    read -r ns dev <<<"$end"
    must ip netns exec "$ns" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$dev/disable_ipv6"
    must ip -n "$ns" link set "$dev" mtu 9000 up # the corpus has frames of 1522 bytes
    offload "$ns" "$dev" off tso gso gro
done
net__wait "$SRV" $SRV_IF "$CLI" $CLI_IF

replay() {
    local mode=$1 sender sender_err receiver receiver_err
    ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/sent"
    sender=$WW_PID sender_err=$WW_ERR
    ww__start "$SRV" run -i $SRV_IF --mode "$mode" --jsonl "$TMP/received"
    receiver=$WW_PID receiver_err=$WW_ERR
    must cli python3 "$REPLAY" send "$FRAMES" $CLI_IF "$TMP/expected" >"$TMP/said"
    cat "$TMP/said"
    quiet "$SRV" $SRV_IF
    WW_PID=$receiver WW_ERR=$receiver_err ww__stop
    WW_PID=$sender WW_ERR=$sender_err ww__stop
    python3 "$REPLAY" check "$TMP/expected" "$TMP/sent" transmit || wrong "$mode: what was sent"
    python3 "$REPLAY" check "$TMP/expected" "$TMP/received" receive || wrong "$mode: what was received"
    is "$mode: frames that could not be sent" "$(grep -c '^not sent' "$TMP/said")" 2
}

replay native
replay generic
