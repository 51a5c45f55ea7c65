#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# With other XDP programs on one interface, through libxdp's dispatcher: before and after ours, coming and going, and none
# of them bypassed.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/../../net/capture.bash"

# `ip netns exec` hides the bpffs that the dispatcher is kept in.
srv() { nsenter --net="/run/netns/$SRV" "$@"; }
cli() { nsenter --net="/run/netns/$CLI" "$@"; }
bg() {
    nsenter --net="/run/netns/$1" "${@:2}" &
    BG_PID=$!
    WW_PIDS+=("$BG_PID")
}

# counted FILE PORT: the packets of the flow records to that port
counted() {
    local rx
    read -r rx _ <<<"$(sums "$1" "select(.destination.port == $2)")"
    echo "$rx"
}

# run NAME ARG...: wirewho in the background; records in $TMP/NAME, its pid in PID[NAME]
declare -A PID ERR
run() {
    ww__start "$SRV" run --no-owners -i $SRV_IF --jsonl "$TMP/$1" "${@:2}"
    PID[$1]=$WW_PID ERR[$1]=$WW_ERR
}

end() {
    WW_PID=${PID[$1]} WW_ERR=${ERR[$1]}
    ww__stop "${2-TERM}"
}

send() { must cli python3 "$NUMBERED" send $CLI_IF "$1" --udp "$2" --rate 500; }

delivered() { srv nstat -asz UdpNoPorts | awk '/NoPorts/ { print $2 }'; }

members() { srv xdp-loader status $SRV_IF; }

need xdp-loader xdp-filter nstat
other__build
net__pair 1
must ip -n "$SRV" link set $SRV_IF address 02:00:00:00:00:01
"$WIREWHO" doctor | grep -q 'XDP programs can be chained' || skip "this kernel refuses the dispatcher"

# behind a filter, before it, and both at once
must srv xdp-filter load -m native -f udp -p allow $SRV_IF
must srv xdp-filter port -m dst -p udp 9001
run behind
run before --priority 5
contains "xdp-loader status" "$(members)" wirewho_meter
is "our programs in the chain" "$(members | grep -c wirewho_meter)" 2
was=$(delivered)
send 500 9000
send 300 9001
is "delivered past the filter" "$(($(delivered) - was))" 500
end behind
send 200 9000
end before
is "behind the filter: packets let through" "$(counted "$TMP/behind" 9000)" 500
is "behind the filter: packets that it dropped" "$(counted "$TMP/behind" 9001)" 0
is "before the filter: packets let through" "$(counted "$TMP/before" 9000)" 700
is "before the filter: packets that it dropped" "$(counted "$TMP/before" 9001)" 300
contains "the filter, when we are gone" "$(members)" xdpfilt
lacks "the chain, when we are gone" "$(members)" wirewho_meter

# a verdict after which nobody else is asked: the filter stands there, and drops nothing
run first --priority 5 --chain-actions drop
was=$(delivered)
send 200 9001
is "delivered past a filter that is not asked" "$(($(delivered) - was))" 200
end first
is "first and last: packets" "$(counted "$TMP/first" 9001)" 200

# a program that xdp-loader has put there, and ours on both sides of it
must srv xdp-loader load -m native $SRV_IF "$TMP/other.o"
run before --priority 5
run behind --priority 95
contains "xdp-loader's program" "$(members)" other_xdp
send 200 9000
end before
send 100 9000
end behind
is "before xdp-loader's program" "$(counted "$TMP/before" 9000)" 200
is "behind xdp-loader's program" "$(counted "$TMP/behind" 9000)" 300
contains "xdp-loader's program, when we are gone" "$(members)" other_xdp
must srv xdp-loader unload $SRV_IF --id "$(members | awk '/other_xdp/ { print $4 }')"
contains "the filter, when that is gone" "$(members)" xdpfilt

# others come and go while packets run: none is missed, none is counted twice
must srv xdp-filter unload $SRV_IF
run alone
cli python3 "$NUMBERED" send $CLI_IF 3000 --udp 9000 --rate 150 &
sender=$!
for _ in 1 2; do
    must srv xdp-filter load -m native -f udp -p allow $SRV_IF
    run guest --priority 90
    must srv xdp-filter unload $SRV_IF
    end guest
done
wait $sender
end alone
is "while others came and went" "$(counted "$TMP/alone" 9000)" 3000
is "lost or unexplained" "$(ledger "$TMP/alone" '[.lines[] | select(.direction == "receive") | .lost.packets, .difference] | add')" 0

# what puts packets back stands last, and never before a filter
must srv xdp-filter load -m native -f udp -p allow $SRV_IF
must srv xdp-filter port -m dst -p udp 9001
was=$(delivered)
cap__start --sample inline 'udp'
send 300 9000
send 300 9001
cap__wait() { { wait "$CAP_PID"; CAP_CODE=$?; } 2>/dev/null; cap__adds_up "$CAP_ERR"; }
cap__end
is "inline, last: packets captured" "$(cap__packets)" 300
is "inline, last: delivered" "$(($(delivered) - was))" 300
srv "$WIREWHO" capture -i $SRV_IF -w "$TMP/no" --sample inline --priority 5 udp 2>"$TMP/refused"
is "inline before a filter: exit code" $? 1
contains "inline before a filter" "$(cat "$TMP/refused")" "stands behind ours"
contains "the filter after the refusal" "$(members)" xdpfilt
lacks "the chain after the refusal" "$(members)" wirewho_meter

# one that comes to stand behind it while it runs ends it; those in front may come as they like
cap__start --sample inline --priority 20 'udp'
must srv xdp-loader load -m native $SRV_IF "$TMP/other.o"
cap__ended() { ! kill -0 "$CAP_PID" 2>/dev/null; }
eventually 10 cap__ended || wrong "inline goes on before a program that came behind it"
kill "$CAP_PID" 2>/dev/null
cap__wait
is "inline, and a program comes behind: exit code" "$CAP_CODE" 1
contains "inline, and a program comes behind" "$(cat "$CAP_ERR")" "other_xdp came to stand behind ours"
contains "the filter then" "$(members)" xdpfilt
must srv xdp-loader unload $SRV_IF --id "$(members | awk '/other_xdp/ { print $4 }')"

# killed: the next run takes the leftovers away, and nothing else
run killed
end killed KILL
contains "the chain after a SIGKILL" "$(members)" wirewho_meter
run next
is "our programs after the next start" "$(members | grep -c wirewho_meter)" 1
contains "the filter after the next start" "$(members)" xdpfilt
send 200 9000
end next
is "the next run's count" "$(counted "$TMP/next" 9000)" 200
lacks "the chain at the end" "$(members)" wirewho_meter
must srv xdp-filter unload $SRV_IF
exit 0
