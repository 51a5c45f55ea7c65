#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A capture names the processes of containers behind NAT: on the uplink, although two have the same addresses and ports, and
# on the host's end of a container's veth.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nat.bash"

# capture ARG... : begins; captured: ends, and reads the file into $TMP/read
capture() {
    bg "${AT:-$RTR}" "$WIREWHO" capture -w "$TMP/packets" --sample copy --match 'port 8080' "$@" 2>"$TMP/capture.err"
    CAPTURE=$BG_PID
    eventually 20 grep -q '^wirewho: capturing' "$TMP/capture.err" || die "wirewho does not capture: $(cat "$TMP/capture.err")"
}
tc_programs() {
    grep -ls '^prog_type:.3$' /proc/"$CAPTURE"/fdinfo/* | wc -l # BPF_PROG_TYPE_SCHED_CLS
}
captured() {
    sleep 0.5
    kill "$CAPTURE"
    wait "$CAPTURE" || wrong "capture: $(cat "$TMP/capture.err")"
    "$WIREWHO" read "$TMP/packets" --jsonl "$TMP/read" 2>"$TMP/read.err" || wrong "read: $(cat "$TMP/read.err")"
}

capture -i ww-up
is "tc programs where two containers have the same address" "$(tc_programs)" 1
both 10.9.0.2 tcp
both fd09::2 udp
captured
# pids, and how many flows each has; a reply comes after what it answers, so none comes too soon
is "whose packets captured on the uplink are" "$(jq -rn '[inputs | select(.event.kind == "metric") | .process.pid // 0] |
    sort | join(" ")' "$TMP/read")" "$(printf '%s\n' "${OWNER[@]}" | sort -n | xargs)"
is "what is left on ww-up" "$(rtr bpftool -j net show dev ww-up | jq -c '[.[] | .xdp[], .tc[]]')" '[]'

# also where one of several addresses is no other container's, and on the veth
must ip -n "$A" address add 10.0.0.3/24 dev eth0
capture -i ww-up -i ww-a
inside=''
for kind in tcp udp; do
    bg "$A" python3 "$TMP/client.py" 10.9.0.2 $kind 50 10.0.0.3
    inside="$inside $kind:$BG_PID"
    wait "$BG_PID" || wrong "the $kind client that is captured failed"
done
captured
# on the uplink from the translated address, on the veth from the container's own; a tuple's first packet may come too soon
for seen in 10.8.0.1 10.0.0.3; do
    for who in $inside; do
        is "whose ${who%:*} packets captured from $seen are" "$(jq -rn "[inputs | select(.event.kind == \"metric\" and
            (.source.ip == \"$seen\" or .destination.ip == \"$seen\") and .network.transport == \"${who%:*}\") | .process.pid // empty] | unique | join(\" \")" \
            "$TMP/read")" "${who#*:}"
    done
done
read -r named all <<<"$(jq -rn '[inputs | select(.event.kind == "metric")] | map(.source.packets + .destination.packets) as $all |
    "\(map(select(.process) | .source.packets + .destination.packets) | add) \($all | add)"' "$TMP/read")"
at_least "captured packets" "$all" 200
at_least "captured packets that have an owner" "$named" $((all - 4))

# a router that sees no address twice watches what comes, and nothing else
AT=$X capture -i ww-down
is "tc programs where no address is there twice" "$(tc_programs)" 0
captured
