#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Inline on several queues of several interfaces, that go down and up and get other queues meanwhile: said, survived, and
# every frame accounted for. A second capture is refused, and the first goes on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

said() { eventually 5 grep -q -- "$1" "$CAP_ERR" || wrong "nothing said of '$1': $(cat "$CAP_ERR")"; }

all_put_back() {
    is "put back" "$(cap__number put_back)" "$(cap__number delivered)"
    is "dropped on the way" $(($(cap__number rx_dropped) + $(cap__number rx_ring_full))) 0
    is "packets in the file" "$(cap__packets)" "$(cap__number written)"
}

net__pair 4
net__veth "$SRV" ww-two "$CLI" ww-peer 2
net__address "$SRV" ww-two 10.78.0.1/24 fd78::1/64
net__address "$CLI" ww-peer 10.78.0.2/24 fd78::2/64
net__wait "$SRV" ww-two "$CLI" ww-peer
must ip -n "$SRV" link set $SRV_IF address 02:00:00:00:00:01
nginx__start "$SRV"

# both at once
cap__start --sample inline -i ww-two 'tcp port 80'
wrk__run "$CLI" 2 16 "http://$SRV4/small" &
one=$!
wrk__run "$CLI" 2 16 "http://[fd78::1]/small" || wrong "requests to the second interface"
wait $one || wrong "requests to the first interface"
cap__end
all_put_back
is "queues that were in use" "$(cap__queues)" "0 1 2 3"
for dev in $SRV_IF ww-two; do
    at_least "frames of $dev" "$(sed -n "s/^$dev: .* = \([0-9]*\) put_back .*/\1/p" "$CAP_ERR")" 500
done

# numbered frames over four queues
for try in 1 2 3; do
    cap__start --sample inline 'udp port 9000'
    cap__send 6000 --rate 20000 --flows 64
    cap__end
    [ "$(cap__number no_credit)" -ne 0 ] || break
    echo "try $try: $(cap__number no_credit) passed for want of credit"
done
all_put_back
cap__check 6000 --flows 64

# down and up
cap__start --sample inline -i ww-two 'tcp port 80'
wrk__run "$CLI" 1 8 "http://$SRV4/small"
must ip -n "$SRV" link set $SRV_IF down
said "$SRV_IF is down"
wrk__run "$CLI" 1 8 "http://10.78.0.1/small" || wrong "requests to the second interface while the first is down"
must ip -n "$SRV" link set $SRV_IF up
said "$SRV_IF is up"
net__wait "$SRV" $SRV_IF "$CLI" $CLI_IF
before=$(stat -c %s "$CAP_FILE")
wrk__run "$CLI" 1 8 "http://$SRV4/small"
sleep 0.5
at_least "bytes of the file after the interface is up again" "$(stat -c %s "$CAP_FILE")" $((before + 10000))
cap__end
all_put_back

# fewer queues, and more: the kernel refuses to take one with a socket on it, or the capture goes on with the
# rest. A veth runs no program on queues that come later: their packets pass, and only it knows of them
must srv ethtool -L $SRV_IF rx 2 tx 2
must cli ethtool -L $CLI_IF rx 2 tx 2
cap__start --sample inline 'tcp port 80'
said "$SRV_IF: 2 queues"
wrk__run "$CLI" 6 8 "http://$SRV4/small" &
load=$!
sleep 1
must srv ethtool -L $SRV_IF rx 4 tx 4
must cli ethtool -L $CLI_IF rx 4 tx 4
said "$SRV_IF has 4 receive queues now (was 2)"
wrk__run "$CLI" 1 32 "http://$SRV4/small" || wrong "requests over queues that are new"
if srv ethtool -L $SRV_IF rx 1 tx 1 2>"$TMP/ethtool"; then
    said "$SRV_IF has 1 receive queue now (was 4)"
else
    echo "fewer queues: the kernel says $(tr '\n' ' ' <"$TMP/ethtool")"
fi
wait $load || wrong "requests while the queues change"
cap__end
all_put_back
must srv ethtool -L $SRV_IF rx 4 tx 4

# a second capture, under load
for sample in inline copy; do
    cap__start --sample $sample 'tcp port 80'
    wrk__run "$CLI" 3 8 "http://$SRV4/small" &
    load=$!
    srv timeout 10 "$WIREWHO" capture -i $SRV_IF --sample $sample -w "$TMP/other" 2>"$TMP/err"
    is "the second: exit code" $? 1
    contains "the second: message" "$(cat "$TMP/err")" "wirewho_meter"
    wait $load || wrong "requests while a second capture is refused"
    cap__end
    [ $sample = copy ] || all_put_back
done
exit 0
