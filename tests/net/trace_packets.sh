#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# `trace packets`: what its lines add up to is what nftables counted of the port, by process; and by port without owners.
. "$(dirname "$0")/lib.sh"

net__pair
need nft
offload "$SRV" $SRV_IF off tso gso gro
offload "$CLI" $CLI_IF off tso gso gro
nginx__start "$SRV" 1
# both directions where they arrive: at the sender one packet may still be many
for end in "$SRV $SRV_IF dport" "$CLI $CLI_IF sport"; do
    read -r ns dev port <<<"$end"
    must ip netns exec "$ns" nft -f - <<-END
	table inet t {
	    chain i { type filter hook input priority 0
	        iif $dev tcp $port 80 counter comment "port 80"
	    }
	}
	END
done
# nft__count NS: "packets bytes", frames: each has 14 bytes of Ethernet too
nft__count() {
    ip netns exec "$1" nft -j list ruleset | jq -r '.nftables[].rule? | select(.comment == "port 80") | .expr[] | .counter? // empty |
        "\(.packets) \(.bytes + 14 * .packets)"'
}
# summed FILE JQ: "received_packets received_bytes sent_packets sent_bytes" over the rows that JQ selects
summed() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and ($2)) | .wirewho | [.received.packets, .received.bytes, .sent.packets, .sent.bytes]] | transpose |
        map(add | tostring) | join(\" \")" "$1"
}
load() {
    local n
    must cli curl -fsS -o /dev/null "http://$SRV4/big"
    for n in 1 2 3 4 5; do
        must cli curl -fsS -o /dev/null "http://[$SRV6]/small"
    done
    cli python3 -c "
import socket
for i in range(100):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('$SRV4', 4000))"
    sleep 0.5
}

ww__start "$SRV" trace packets -i $SRV_IF --port 80 --jsonl "$TMP/process"
process_pid=$WW_PID
load
WW_PID=$process_pid
ww__stop
is "all rows together" "$(summed "$TMP/process" true)" "$(nft__count "$SRV") $(nft__count "$CLI")"
is "those that are an nginx worker's" "$(summed "$TMP/process" ".process.pid == $(nginx__workers)")" "$(nft__count "$SRV") $(nft__count "$CLI")"
is "how they are known" "$(jq -r 'select(.event.kind == "metric") | .wirewho.attribution' "$TMP/process" | sort -u)" exact
at_least "intervals" "$(jq -r 'select(.event.kind == "metric") | .event.end' "$TMP/process" | sort -u | wc -l)" 1
is "the last line" "$(tail -n 1 "$TMP/process" | jq -r '.event.kind, (.wirewho.ledger.lines | length)' | tr '\n' ' ')" "state 2 "
is "the ledger: flows" "$(ledger "$TMP/process" '[.lines[] | .flow | .packets, .bytes] | map(tostring) | join(" ")')" \
    "$(nft__count "$SRV") $(nft__count "$CLI")"
is "the ledger: differences" "$(ledger "$TMP/process" '[.lines[] | .difference, .difference_bytes] | unique | tostring')" "[0]"

read -r in_packets in_bytes out_packets out_bytes <<<"$(nft__count "$SRV") $(nft__count "$CLI")"
ww__start "$SRV" trace packets -i $SRV_IF --port 80 --port 4000 --no-owners --jsonl "$TMP/port"
lacks "programs of the owners" "$(for p in $(ww__holds | awk '$1 == "prog" { print $2 }'); do bpftool prog show id "$p"; done)" on_connect4
load
ww__stop
read -r a b c d <<<"$(nft__count "$SRV") $(nft__count "$CLI")"
is "by port, 80" "$(summed "$TMP/port" '.destination.port == 80')" \
    "$((a - in_packets)) $((b - in_bytes)) $((c - out_packets)) $((d - out_bytes))"
is "by port, 4000" "$(summed "$TMP/port" '.destination.port == 4000 and .network.transport == "udp"')" "100 4300 0 0"
is "ports" "$(jq -r 'select(.event.kind == "metric") | .destination.port' "$TMP/port" | sort -un | tr '\n' ' ')" "80 4000 "
is "rows with a process" "$(jq -r 'select(.process) | .process.pid' "$TMP/port")" ""

ww__start "$SRV" trace packets -i $SRV_IF --port 80 $((3 * ${WW_SLOW:-1})) 1
load
wait "$WW_PID"
is "the exit code after one interval" $? 0
is "tables" "$(grep -c PID "$WW_OUT")" 1
contains "the table" "$(cat "$WW_OUT")" nginx

# whom: nobody else's rows, though all are counted
ww__start "$CLI" trace packets -i $CLI_IF --comm python3 --jsonl "$TMP/whom"
load
ww__stop
is "--comm: names, and datagrams" "$(jq -r 'select(.event.kind == "metric") | .process.name' "$TMP/whom" | sort -u) $(
    summed "$TMP/whom" true | cut -d ' ' -f 3,4)" "python3 100 4300"
at_least "--comm: packets of others in the ledger" "$(ledger "$TMP/whom" '[.lines[].seen.packets] | add')" 1000
for wrong in "--no-owners --by process" "--no-owners -p 1" "--no-owners --comm x" "--comm 0123456789abcdef" "-u no-such-user" "--cgroup relative" "1 2 3"; do
    # shellcheck disable=SC2086 # words
    "$WIREWHO" trace packets -i lo $wrong >"$TMP/out" 2>&1
    is "the exit code of trace packets $wrong" $? 2
    is "what it says: lines" "$(wc -l <"$TMP/out")" 1
done
