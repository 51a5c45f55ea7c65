#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# A frame has one owner at any time, the kernel or us. The debug build asserts it at each step: while rings run empty and
# over, frames come in pieces, and a load goes through inline.
. "$(dirname "$0")/lib.sh"
WIREWHO=$WW_ROOT/.build/debug/wirewho
. "$(dirname "$0")/capture.bash"

need_root
[ -x "$WIREWHO" ] || skip "there is no debug build: make debug"
nm "$WIREWHO" 2>/dev/null | grep -q __assert_fail || die "the debug build asserts nothing"

net__pair 2
must ip -n "$SRV" link set $SRV_IF address 02:00:00:00:00:01
nginx__start "$SRV"
cap__start --sample inline 'tcp port 80'
wrk__run "$CLI" 2 32 "http://$SRV4/small"
cap__end
is "put back" "$(cap__number put_back)" "$(cap__number delivered)"

# each frame of the UMEM many times over; then more frames than there are
for mode in native generic; do
    cap__start --sample tap --force --mode $mode 'udp port 9000'
    cap__send 20000 --rate 40000 --flows 8
    kill -STOP "$CAP_PID"
    cap__send 12000 --first 20000 --flows 8
    kill -CONT "$CAP_PID"
    cap__end
    at_least "$mode: dropped for want of a frame" "$(cap__number rx_dropped)" 1000
    cap__check 32000 --flows 8 --missing "$(cap__number rx_dropped)"
done

must ip -n "$SRV" link set "$SRV_IF" mtu 9000
must ip -n "$CLI" link set "$CLI_IF" mtu 9000
cap__start --sample tap --force 'udp port 9000'
cap__send 1200 --rate 20000 --long 8900
cap__end
grep -q 'takes no frame longer' "$CAP_ERR" || cap__check 1200 --long 8900
