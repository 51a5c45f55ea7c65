#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Two containers with the same addresses and the same ports, behind a host that masquerades them: on the host's uplink
# and on its end of each container's veth every flow belongs to its own process, and counts once in totals.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nat.bash"

ww__start "$RTR" run -i ww-up -i ww-a -i ww-b --jsonl "$TMP/out" --interval 1
for host in 10.9.0.2 fd09::2; do
    both $host tcp
    both $host udp
done
sleep 2.2 # what is counted until the harvest after the next may be the former sockets'
both 10.9.0.2 unconnected
sleep 1.2
ww__stop

# seen INTERFACE PID: "bytes sent bytes received" by that process there, as 100s, from its own end
seen() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and .observer.ingress.interface.name == \"$1\" and .process.pid == $2)
        | (.wirewho.owner // .wirewho.local) as \$which
        | if \$which == \"source\" then [.source.packets, .destination.packets] else [.destination.packets, .source.packets] end]
        | \"\(map(.[0]) | add) \(map(.[1]) | add)\"" "$TMP/out"
}
for who in "${!OWNER[@]}"; do
    read -r container host kind <<<"$who"
    pid=${OWNER[$who]}
    n=100 other=ww-b
    [ "$container" = a ] || { n=200; other=ww-a; }
    for dev in ww-up "ww-$container"; do
        read -r sent received <<<"$(seen $dev "$pid")"
        if [ "$kind" = tcp ]; then
            at_least "$who at $dev: sent" "$sent" $((n + 2))
            at_most "$who at $dev: sent" "$sent" $((2 * n + 6))
            at_least "$who at $dev: received" "$received" "$n"
        else
            is "$who at $dev: sent and received" "$sent $received" "$n $n"
        fi
    done
    is "$who at the other's veth" "$(seen $other "$pid")" "null null"
    is "$who: records for totals are of the first interface alone" "$(jq -rn "[inputs | select(.process.pid == $pid and
        (.wirewho.repeated | not)) | .observer.ingress.interface.name] | unique | join(\" \")" "$TMP/out")" ww-up
done
is "flows to port 8080 without an owner" "$(jq -c 'select((.source.port == 8080 or .destination.port == 8080) and
    .process == null)' "$TMP/out" | head -n 3)" ""
is "the ledger's difference" "$(ledger "$TMP/out" '[.lines[].difference] | add')" 0
