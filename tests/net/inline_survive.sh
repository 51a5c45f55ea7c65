#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Whatever happens to the engine, the host's own traffic survives: stopped, continued, ended, killed in the middle.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# under_load SECONDS CONNECTIONS CMD...: requests all the while; none may fail, and none may take two seconds
under_load() {
    local seconds=$1 connections=$2 failed=$WW_FAILED pid
    shift 2
    wrk__run "$CLI" "$seconds" "$connections" "http://$SRV4/small" &
    pid=$!
    sleep 1
    "$@"
    kill -0 "$pid" 2>/dev/null || wrong "the requests had ended before: $*"
    wait "$pid" || WW_FAILED=$((failed + 1))
}

stop_and_continue() {
    kill -STOP "$CAP_PID"
    sleep 3
    kill -CONT "$CAP_PID"
    sleep 1
}

# what it held takes a busy machine a while to put away
kill_it() {
    kill -KILL "$CAP_PID"
}

its_end() {
    { wait "$CAP_PID"; } 2>/dev/null
}

# while it is stopped, new connections too
stop_and_connect() {
    kill -STOP "$CAP_PID"
    sleep 1
    cli curl -fsS -m 2 -o /dev/null http://$SRV4/small || wrong "no new connection while the engine is stopped"
    kill -CONT "$CAP_PID"
    sleep 1
}

net__pair 1
nginx__start "$SRV"

# few connections would take long to fill the ring: it is the time that saves them
for connections in 2 32; do
    cap__start --sample inline 'tcp port 80'
    under_load 7 $connections stop_and_continue
    cap__end
    is "put back" "$(cap__number put_back)" "$(cap__number delivered)"
    at_least "passed while it was stopped" "$(cap__number no_credit)" 100
    is "packets in the file" "$(cap__packets)" "$(cap__number delivered)"
done

cap__start --sample inline 'tcp port 80'
under_load 6 8 stop_and_connect
cap__end

# a clean end in the middle: what was in the ring comes back
cap__start --sample inline 'tcp port 80'
under_load 4 32 cap__end
is "put back" "$(cap__number put_back)" "$(cap__number delivered)"

cap__start --sample inline 'tcp port 80'
holds=$(WW_PID=$CAP_PID ww__holds)
at_least "what it holds" "$(echo "$holds" | wc -l)" 5
under_load 4 32 kill_it
its_end
eventually 10 ww__released "$holds" || wrong "left after SIGKILL: $(ww__left "$holds")"
is "what is left on $SRV_IF" "$(srv bpftool -j net show dev $SRV_IF | jq -c '[.[].xdp[]]')" '[]'
wrk__run "$CLI" 1 8 "http://$SRV4/small"

# stopped in a flood: credit ends before the ring is full
cap__start --sample inline 'udp port 9000'
begun=$(counter "$SRV" $SRV_IF rx_packets)
bg "$CLI" python3 "$NUMBERED" send $CLI_IF 150000
sender=$BG_PID
eventually 20 eval '[ "$(counter "$SRV" $SRV_IF rx_packets)" -gt $((begun + 10000)) ]' || wrong "nothing arrives"
kill -STOP "$CAP_PID"
sleep 0.5
kill -CONT "$CAP_PID"
wait "$sender"
cap__end
at_least "passed while it was stopped" "$(cap__number no_credit)" 100
is "dropped by the kernel" $(($(cap__number rx_dropped) + $(cap__number rx_ring_full))) 0
is "put back" "$(cap__number put_back)" "$(cap__number delivered)"

# killed while it was stopped
cap__start --sample inline 'tcp port 80'
kill -STOP "$CAP_PID"
under_load 4 8 kill_it
its_end
exit 0
