#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# Numbered frames, captured in each of the three ways over a veth: all of them are in the file, byte for byte, and inline
# puts each back.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/../../net/capture.bash"

COUNT=400
cap__pair 2
must ip -n "$SRV" link set $SRV_IF down
must ip -n "$SRV" link set $SRV_IF address 02:00:00:00:00:01
must ip -n "$SRV" link set $SRV_IF up
net__wait "$SRV" $SRV_IF
delivered() { srv nstat -asz UdpNoPorts | awk '/NoPorts/ { print $2 }'; }

# through SAMPLE PASSED: PASSED of the frames still reach the host
through() {
    local was
    was=$(delivered)
    cap__start --sample "$1" 'udp port 9000'
    cap__send $COUNT --flows 4 --rate 400
    sleep 2
    cap__end
    cap__check $COUNT --flows 4
    is "$1: frames in the file" "$(cap__number written)" $COUNT
    is "$1: frames that reached the host" "$(($(delivered) - was))" "$2"
}

through tap 0
must ip -n "$SRV" address add $SRV4/24 dev $SRV_IF
through copy $COUNT
through inline $COUNT
exit 0
