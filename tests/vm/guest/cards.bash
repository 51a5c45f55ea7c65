# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# The guest's own cards instead of a veth, for tests that are written for one. Source it after lib.sh.
#
#     cards__pair        $SRV has the igb as $SRV_IF, $CLI the virtio_net as $CLI_IF: one cable, no addresses
#     cards__settled     waits until $SRV_IF has its carrier back: attaching XDP resets the igb
#     cards__missed      frames that $SRV_IF itself had no room for: an emulated card is soon too slow

# card NUMBER: its name; the runner's order is in the address's last byte
card() {
    basename "$(dirname "$(grep -l "^52:54:00:77:00:0$1" /sys/class/net/*/address | head -n 1)")"
}

# cards__move NAME NS IF
cards__move() {
    must ip link set dev "$1" netns "$2" name "$3"
    must ip netns exec "$2" sh -c "echo 1 >/proc/sys/net/ipv6/conf/$3/disable_ipv6"
    must ip -n "$2" link set "$3" up
}

cards__settled() {
    sleep 1
    eventually 10 net__carrier "$SRV" "$SRV_IF" || die "$SRV_IF got no carrier"
    sleep 1
}

cards__missed() {
    srv ethtool -S "$SRV_IF" | awk '/rx_(missed_errors|no_buffer_count|fifo_errors):/ { sum += $2 } END { print sum + 0 }'
}

# Out of the namespaces before these go, and under their own names, which would be in the way of the next test's.
cards__back() {
    ip -n "$SRV" link set "$SRV_IF" down netns 1 name card1
    ip -n "$CLI" link set "$CLI_IF" down netns 1 name card0
} 2>/dev/null

cards__pair() {
    local receiver sender
    need_root
    sender=$(card 0) receiver=$(card 1)
    [ -n "$sender" ] && [ -n "$receiver" ] || skip "no cards: tests/vm/run with --cards virtio,igb"
    net__ns "$SRV"
    net__ns "$CLI"
    trap 'code=$?; cards__back; (exit $code); net__cleanup' EXIT
    cards__move "$receiver" "$SRV" "$SRV_IF"
    cards__move "$sender" "$CLI" "$CLI_IF"
    cards__settled
}
