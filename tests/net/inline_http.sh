#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 180
# Web traffic whose every packet goes through user space and back: no request fails, and every packet is accounted for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# load WHAT ADDRESS CAPTURE_ARGS: some seconds of requests while inline is at work
load() {
    local what=$1 address=$2 failed=$WW_FAILED
    shift 2
    cap__start --sample inline --stats "$TMP/stats" "$@" 'tcp port 80'
    wrk__run "$CLI" 2 16 "http://$address/small"
    cap__end
    is "packets in the file" "$(cap__packets)" "$(cap__number delivered)"
    is "of the delivered, put back" "$(cap__number put_back)" "$(cap__number delivered)"
    at_least "packets delivered" "$(cap__number delivered)" 1000
    is "dropped on the way" $(($(cap__number rx_dropped) + $(cap__number rx_ring_full))) 0
    is "delivered, as the JSON says" "$(jq .interfaces[0].delivered "$TMP/stats")" "$(cap__number delivered)"
    [ "$WW_FAILED" -eq "$failed" ] || wrong "that was: $what"
}

# At 1:1 what passes by is an exception: an engine that did not get a CPU for a while.
mostly() {
    at_least "percent of the packets that were taken" $((100 * $(cap__number redirected) / $(cap__number matched))) 50
}

# flows FILE: source ports of the SYNs, then of all packets towards port 80, each once
flows() {
    tcpdump -nr "$1" "dst port 80 and ${2:-tcp}" 2>/dev/null | sed -E 's/.*\.([0-9]+) > .*/\1/' | sort -u
}

net__pair 1
nginx__start "$SRV"

# the client's kernel leaves the checksums to a card that does not exist
offload "$CLI" $CLI_IF on tx
load "partial checksums" $SRV4
mostly
load "partial checksums, IPv6" "[$SRV6]"
mostly
offload "$CLI" $CLI_IF off tx
load "whole checksums" $SRV4
mostly

# one in N packets: exactly on each CPU, which begins with its first; one in N flows: whole flows
load "one in ten packets" $SRV4 --rate 10
taken=$(($(cap__number redirected) + $(cap__number no_credit)))
at_least "one in ten" $taken $((($(cap__number matched) + 9) / 10))
at_most "one in ten" $taken $(($(cap__number matched) / 10 + $(nproc)))
is "the others" "$(cap__number skipped)" $(($(cap__number matched) - taken))

cap__start --sample inline --flow-rate 3 'tcp port 80'
# shellcheck disable=SC2016 # for the shell inside
must cli bash -c 'for i in $(seq 60); do curl -fsS -o /dev/null "http://$1/small" || exit 1; done' bash $SRV4
cap__end
if [ "$(cap__number no_credit)" -eq 0 ]; then
    is "flows that begin in the middle" "$(flows "$CAP_FILE")" "$(flows "$CAP_FILE" 'tcp[tcpflags] & tcp-syn != 0')"
    is "flows that do not end" "$(flows "$CAP_FILE")" "$(flows "$CAP_FILE" 'tcp[tcpflags] & tcp-fin != 0')"
fi
at_least "one in three of 60 flows" "$(flows "$CAP_FILE" | wc -l)" 5
at_most "one in three of 60 flows" "$(flows "$CAP_FILE" | wc -l)" 40

# longer than what can be put back: passed, under a name
must ip -n "$SRV" link set "$SRV_IF" mtu 9000
must ip -n "$CLI" link set "$CLI_IF" mtu 9000
offload "$CLI" $CLI_IF on tx
cap__start --sample inline 'tcp port 5000'
cat >"$TMP/sink.py" <<'END'
import hashlib, socket, sys
data = bytes(i * 7 & 255 for i in range(4 << 20))
if sys.argv[1] == "send":
    s = socket.create_connection((sys.argv[2], 5000))
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    sys.exit(s.recv(100) != b"the same")
s = socket.create_server(("", 5000))
print("listening", flush=True)
s, got = s.accept()[0], b""
while part := s.recv(1 << 20):
    got += part
s.sendall(b"the same" if got == data else b"altered")
END
bg "$SRV" python3 "$TMP/sink.py" receive >"$TMP/sink"
eventually 5 grep -q listening "$TMP/sink" || die "the receiver does not listen"
cli timeout 20 python3 "$TMP/sink.py" send $SRV4 || wrong "four megabytes did not arrive whole"
cap__end
at_least "frames too long to be put back" "$(cap__number too_long)" 100
at_least "frames short enough" "$(cap__number put_back)" 2
contains "the summary" "$(cat "$CAP_ERR")" "  too_long: above the 3400 bytes that can be put back"
is "packets in the file" "$(cap__packets)" "$(cap__number delivered)"

# generic XDP would take again what was put back
srv timeout 10 "$WIREWHO" capture -i $SRV_IF -w "$CAP_FILE" --sample inline --mode generic 2>"$CAP_ERR"
is "generic XDP: the exit code" $? 1
contains "generic XDP: the message" "$(cat "$CAP_ERR")" "sample $SRV_IF inline: it needs native XDP"
is "what is left on $SRV_IF" "$(srv bpftool -j net show dev $SRV_IF | jq -c '[.[].xdp[]]')" '[]'
exit 0
