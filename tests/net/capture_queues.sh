#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Several receive queues, several interfaces: a socket and a thread for each, and still every frame is accounted for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

cap__pair 4
cap__start 'udp port 9000'
cap__send 6000 --rate 20000 --flows 64
cap__end
contains "the report" "$(cat "$CAP_ERR")" "$SRV_IF: 4 queues, AF_XDP copy mode (driver veth has no zero-copy)"
is "frames captured" "$(cap__number written)" 6000
cap__check 6000 --flows 64
is "the queues in the file" "$(cap__queues)" "0 1 2 3"

# a queue that is not served passes its frames on, and says so
cap__start --queues 1 'udp port 9000'
cap__send 6000 --rate 20000 --flows 64
cap__end
is "matched" "$(cap__number matched)" 6000
at_least "frames on the queues that are not served" "$(cap__number no_socket)" 500
is "redirected and passed" $(($(cap__number written) + $(cap__number no_socket))) 6000
cap__check 6000 --flows 64 --some
is "the queues in the file" "$(cap__queues)" 0

# exactly so many, also when four threads take them
for n in 1 777; do
    cap__start -c $n 'udp port 9000'
    cap__send 5000 --rate 20000 --flows 64
    eventually 5 eval '! kill -0 $CAP_PID 2>/dev/null' || wrong "the capture goes on after -c $n"
    cap__wait
    is "the exit code after -c" "$CAP_CODE" 0
    is "packets after -c" "$(cap__packets)" $n
    cap__check 5000 --flows 64 --some
done

# two interfaces in one file
must ip -n "$SRV" link add ww-two type veth peer name ww-peer netns "$CLI"
must ip -n "$SRV" link set ww-two up
must ip -n "$CLI" link set ww-peer up
net__wait "$SRV" ww-two "$CLI" ww-peer
cap__start -i ww-two 'udp port 9000'
cap__send 2000 --rate 20000 --flows 64
must cli python3 "$NUMBERED" send ww-peer 2000 --first 2000 --rate 20000 --flows 64
cap__end
is "frames of both" "$(cap__number written)" 4000
cap__check 4000 --flows 64
info=$(capinfos "$CAP_FILE")
contains "capinfos" "$info" "Number of interfaces in file: 2"
contains "capinfos" "$info" "Name = ww-two"
is "packets of each" "$(echo "$info" | grep -c 'Number of packets = 2000')" 2
exit 0
