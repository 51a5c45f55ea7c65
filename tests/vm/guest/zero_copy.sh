#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 60
# AF_XDP on a card's own driver: zero-copy where it has that, and every numbered frame in the file, over several queues;
# where it has not, `auto` says in one line that it copies, and `zerocopy` says why not and what to do.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/../../net/capture.bash"
. "$(dirname "$0")/cards.bash"

COUNT=1000

# once ARG...: a capture of COUNT frames in eight flows; what the program saw, and what it has in the file
once() {
    local before
    cards__settled # the run before has reset the card, too
    cap__start "$@" 'udp port 9000'
    cards__settled
    before=$(cards__missed)
    cap__send $COUNT --rate 400 --flows 8 --long 200
    sleep 2
    cap__end
    MISSED=$(($(cards__missed) - before)) SEEN=$(sed -n 's/.*: \([0-9]*\) seen = .*/\1/p' "$CAP_ERR")
    is "frames captured" "$(cap__number written)" "$((SEEN - $(cap__number no_credit)))"
}

# try WHAT ARG...: each frame, at the third time at the latest
try() {
    local what=$1 failed=$WW_FAILED n
    shift
    for n in 1 2 3; do
        once "$@"
        [ "$(cap__number written)" -ne $COUNT ] || break
        echo "$what: $SEEN of $COUNT seen, $(cap__number no_credit) without credit; the card missed $MISSED"
    done
    cap__check $COUNT --flows 8 --long 200
    REPORT=$(grep "^wirewho: $SRV_IF: .*AF_XDP" "$CAP_ERR")
    [ "$WW_FAILED" -eq "$failed" ] || { wrong "that was: $what"; cat "$CAP_ERR"; }
}

# Without zero-copy in the driver.
refused() {
    contains "what --bind zerocopy says" "$(cat "$CAP_ERR")" "zero-copy"
    contains "what --bind zerocopy advises" "$(cat "$CAP_ERR")" "--bind copy"
    try "auto, which copies" --sample tap
    is "lines about copying" "$(grep -c 'copy mode' "$CAP_ERR")" 1
    contains "what auto says" "$REPORT" "driver igb has no zero-copy"
    try "copy" --sample tap --bind copy
    echo "no zero-copy here: $(head -n 1 <<<"$REPORT")"
}

# steered WHAT QUEUE: every frame came by that queue
steered() {
    try "$1" --sample tap --bind zerocopy
    is "$1: the queues in the file" "$(cap__queues)" "$2"
}

# Which queue a flow comes by: the card's hash over one of them instead of all, and rules, where it has rules.
steering() {
    local rule said
    must srv ethtool -X $SRV_IF equal 1
    steered "all to the first queue by its hash" 0
    must srv ethtool -X $SRV_IF equal 2
    srv ethtool -K $SRV_IF ntuple on >/dev/null 2>&1
    for rule in "udp4 dst-port 9000" "ether proto 0x0800"; do
        # shellcheck disable=SC2086 # words
        said=$(srv ethtool -N $SRV_IF flow-type $rule action 1 2>&1)
        srv ethtool -n $SRV_IF | grep -q '^Filter:' ||
            { echo "SKIP: this card takes no rule '$rule': ${said:-none is there afterwards}"; continue; }
        steered "all to the second queue by the rule '$rule'" 1
        srv ethtool -N $SRV_IF delete "$(srv ethtool -n $SRV_IF | sed -n 's/^Filter: //p' | head -n 1)"
    done
}

granted() {
    must srv ethtool -N $SRV_IF rx-flow-hash udp4 sdfn
    steered "spread over the queues by its hash" "0 1"
    contains "the report" "$REPORT" "zero-copy"
    queues=$(srv ethtool -l $SRV_IF | sed -n 's/^Combined:\s*//p' | tail -n 1)
    is "the queues that are served" "$(sed -n 's/.*: \([0-9]*\) queues\?, AF_XDP.*/\1/p' <<<"$REPORT")" "$queues"
    at_least "queues" "$queues" 2
    try "auto" --sample tap
    contains "what auto takes" "$REPORT" "AF_XDP zero-copy"
    try "copy" --sample tap --bind copy
    contains "what copy takes" "$REPORT" "AF_XDP copy"
    steering
    must ip -n "$SRV" address add $SRV4/24 dev $SRV_IF
    try "inline" --sample inline --bind zerocopy
    is "frames put back into the stack" "$(cap__number put_back)" $COUNT
    at_least "datagrams that found nobody" "$(srv nstat -asz UdpNoPorts | awk '/NoPorts/ { print $2 }')" $COUNT
    echo "zero-copy on $queues queues: tap, auto and inline, each of $COUNT frames"
}

cards__pair
must ip -n "$SRV" link set "$SRV_IF" down
must ip -n "$SRV" link set "$SRV_IF" address 02:00:00:00:00:01
must ip -n "$SRV" link set "$SRV_IF" up
cards__settled
bg "$SRV" "$WIREWHO" capture -i $SRV_IF -w /dev/null --sample tap --bind zerocopy 'udp port 9000' 2>"$CAP_ERR"
CAP_PID=$BG_PID
eventually 20 cap__began
if kill -0 "$CAP_PID" 2>/dev/null; then
    kill "$CAP_PID"
    wait "$CAP_PID"
    granted
else
    refused
fi
exit 0
