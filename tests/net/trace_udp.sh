#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# `trace udp` against what the sender itself counted, what the receiver read, and what nftables counted at both ends; and
# 50 000 sockets of one datagram each, none of which may be missed.
. "$(dirname "$0")/lib.sh"

net__pair
need nft
cat >"$TMP/server.py" <<-'END'
	import select, socket, struct, sys
	sinks = {}
	for port in (6001, 6002, 6003):
	    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
	    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
	    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 if port == 6002 else 4000000)
	    s.bind(("::", port))
	    sinks[port] = s
	sinks[6003].setsockopt(17, 104, 1)  # UDP_GRO: what came together is read together
	read = count = 0
	merged = [0, 0, 0]  # datagrams, bytes, reads
	print("ready", flush=True)
	while True:
	    ready = select.select([sinks[6001], sinks[6003]], [], [])[0]  # 6002 is never read, and has room for little
	    if sinks[6003] in ready:
	        data, about = sinks[6003].recvmsg(65536, 100)[:2]
	        size = [struct.unpack("i", value)[0] for _, kind, value in about if kind == 104] or [len(data)]
	        merged = [merged[0] + -(-len(data) // size[0]), merged[1] + len(data), merged[2] + 1]
	        continue
	    data, peer = sinks[6001].recvfrom(65536)
	    if data == b"end":
	        print(count, read, *merged, flush=True)
	        count = read = 0
	        sinks[6001].sendto(b"seen", peer)
	        continue
	    count, read = count + 1, read + len(data)
	    if data[:3] == b"ask":
	        sinks[6001].sendto(data + b"!", peer)
END
cat >"$TMP/client.py" <<-'END'
	import ctypes, socket, struct, sys
	host, what = sys.argv[1], sys.argv[2]
	family = socket.AF_INET6 if ":" in host else socket.AF_INET
	n = size = 0
	def make():
	    s = socket.socket(family, socket.SOCK_DGRAM)
	    s.settimeout(5)
	    return s
	def sent(bytes, count=1):
	    global n, size
	    n, size = n + count, size + bytes
	class Vector(ctypes.Structure):
	    _fields_ = [("base", ctypes.c_char_p), ("size", ctypes.c_size_t)]
	class Message(ctypes.Structure):
	    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("vector", ctypes.POINTER(Vector)),
	                ("vectors", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
	                ("flags", ctypes.c_long), ("length", ctypes.c_uint)]
	def sendmmsg(s, datagrams):
	    all = (Message * len(datagrams))()
	    for m, data in zip(all, datagrams):
	        m.vector, m.vectors = ctypes.pointer(Vector(data, len(data))), 1
	    if ctypes.CDLL(None).sendmmsg(s.fileno(), all, len(datagrams), 0) != len(datagrams):
	        sys.exit("sendmmsg did not send all of them")
	    return sum(m.length for m in all)
	if what == "connected":
	    s = make()
	    s.connect((host, 6001))
	    for i in range(500):
	        sent(s.send(b"x" * i))
	elif what == "unconnected":
	    s = make()
	    for i in range(500):
	        sent(s.sendto(b"y" * (i * 2), (host, 6001)))
	elif what == "segments":
	    s = make()
	    s.setsockopt(17, 103, 500)  # UDP_SEGMENT
	    for i in range(20):
	        sent(s.sendto(b"z" * 10250, (host, 6001)), 21)
	elif what == "merged":
	    s = make()
	    s.setsockopt(17, 103, 500)
	    for i in range(20):
	        sent(s.sendto(b"g" * 10250, (host, 6003)), 21)
	elif what == "corked":
	    s = make()
	    s.connect((host, 6001))
	    for i in range(100):
	        s.setsockopt(17, 1, 1)  # UDP_CORK: three calls, one datagram
	        size += s.send(b"c" * i) + s.send(b"c" * 100) + s.send(b"c")
	        s.setsockopt(17, 1, 0)
	        n += 1
	elif what == "many":
	    s = make()
	    s.connect((host, 6001))
	    for i in range(20):
	        n, size = n + 50, size + sendmmsg(s, [b"m" * (i * k) for k in range(50)])
	elif what == "asking":
	    for i in range(200):
	        with make() as s:
	            sent(s.sendto(b"ask%d" % i, (host, 6001)))
	            s.recv(100)
	elif what == "deaf":
	    s = make()
	    for i in range(300):
	        sent(s.sendto(b"d" * 1000, (host, 6002)))
	elif what == "refused":
	    s = make()
	    s.connect((host, 6009))
	    sent(s.send(b"r"))
	    try:
	        s.recv(10)
	    except ConnectionRefusedError:
	        pass
	print(n, size)
END

# Everything that nftables sees of the ports in question, at both ends
for ns in "$SRV" "$CLI"; do
    must ip netns exec "$ns" nft -f - <<-END
	table inet t {
	    chain i { type filter hook input priority 0
	        udp dport 6001 counter comment "in 6001"
	        udp dport 6002 counter comment "in 6002"
	        udp sport 6001 counter comment "back 6001"
	    }
	    chain o { type filter hook output priority 0
	        udp dport 6001 counter comment "out 6001"
	        udp dport 6002 counter comment "out 6002"
	    }
	}
	END
done
# nft__count NS COMMENT: "packets bytes" of the IP packets
nft__count() {
    ip netns exec "$1" nft -j list ruleset | jq -r ".nftables[].rule? | select(.comment == \"$2\") | .expr[] | .counter? // empty |
        \"\(.packets) \(.bytes)\""
}

bg "$SRV" python3 "$TMP/server.py" >"$TMP/read"
SERVER=$BG_PID
eventually 5 grep -q ready "$TMP/read" || die "the server did not start"
ww__start "$SRV" trace udp --port 6001 --port 6002 --port 6003 --port 6009 --jsonl "$TMP/udp"
udp_pid=$WW_PID udp_err=$WW_ERR
declare -A PID
ALL=0 ALL_BYTES=0 DEAF=0 DEAF_BYTES=0 SEGMENTS=0 MERGED=0 MERGED_BYTES=0
for host in $SRV4 $SRV6; do
    for what in connected unconnected segments merged corked many asking deaf refused; do
        bg "$CLI" python3 "$TMP/client.py" "$host" $what >"$TMP/$what.$host"
        PID[$what.$host]=$BG_PID
        wait "$BG_PID" || wrong "client $what to $host failed"
        read -r n size <"$TMP/$what.$host"
        case $what in
        deaf) DEAF=$((DEAF + n)) DEAF_BYTES=$((DEAF_BYTES + size)) ;;
        merged) MERGED=$((MERGED + n)) MERGED_BYTES=$((MERGED_BYTES + size)) ;;
        refused) ;;
        *) ALL=$((ALL + n)) ALL_BYTES=$((ALL_BYTES + size)) ;;
        esac
        [ $what != segments ] || SEGMENTS=$((SEGMENTS + n))
    done
done
# the server tells what it read, and is told goodbye by a socket that is not ours to count
cli python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b'end', ('$SRV4', 6001))
s.recv(10)"
kill "$SERVER"
wait "$SERVER" 2>/dev/null
sleep 0.5
WW_PID=$udp_pid WW_ERR=$udp_err
ww__stop
is "lost" "$(tail -n 1 "$TMP/udp" | jq .wirewho.trace.lost)" 0

# udp PID JQ: sums over a process's sockets
udp() {
    jq -rn "[inputs | select(.event.action == \"udp-close\" and .process.pid == $1)] | $2" "$TMP/udp"
}
sent='"\(map(.wirewho.udp.sent.packets) | add) \(map(.wirewho.udp.sent.bytes) | add)"'
for who in "${!PID[@]}"; do
    is "$who: sent" "$(udp "${PID[$who]}" "$sent")" "$(cat "$TMP/$who")"
    is "$who: how it is known" "$(udp "${PID[$who]}" 'map(.wirewho.attribution) | unique | join(" ")')" exact
done
for host in $SRV4 $SRV6; do
    is "sockets that asked, $host" "$(udp "${PID[asking.$host]}" length)" 200
    is "those that got and read their answer, $host" "$(udp "${PID[asking.$host]}" \
        'map(select(.wirewho.udp.received == {packets: 1, bytes: (.wirewho.udp.sent.bytes + 1)} and
            .wirewho.udp.read == .wirewho.udp.received and .destination.port == 6001 and .wirewho.local == "source")) | length')" 200
    is "the refused one, $host" "$(udp "${PID[refused.$host]}" 'map(.wirewho.udp | "\(.receive_errors) \(.error)") | join(" ")')" \
        "1 ECONNREFUSED"
    is "connected or not, $host" "$(udp "${PID[connected.$host]}" '.[0].wirewho.udp.connected != null') $(
        udp "${PID[unconnected.$host]}" '.[0].wirewho.udp.connected != null')" "true false"
done

# at the server: what it read itself, what nftables let in
server() { udp "$SERVER" "map(select(.destination.port == $1 or .source.port == $1) | .wirewho.udp) | \"\(length) $2\""; }
read -r packets bytes merged merged_bytes merged_reads <<<"$(tail -n 1 "$TMP/read")"
is "what the server read, by its own count" "$packets $bytes" "$ALL $ALL_BYTES"
is "the server's socket: read" "$(server 6001 '\(map(.read.packets) | add) \(map(.read.bytes) | add)')" \
    "1 $((ALL + 1)) $((ALL_BYTES + 3))"
is "the server's socket: received" "$(server 6001 '\(map(.received.packets) | add) \(map(.received.bytes) | add) \(map(.dropped) | add)')" \
    "1 $((ALL + 1)) $((ALL_BYTES + 3)) 0"
is "what the server read merged, by its own count" "$merged $merged_bytes" "$MERGED $MERGED_BYTES"
at_most "reads of what came merged" "$merged_reads" $((MERGED - 1))
is "the merging socket: received, and read" "$(server 6003 '\(map(.received.packets) | add) \(map(.received.bytes) | add) \(
    map(.read.packets) | add) \(map(.read.bytes) | add) \(map(.dropped) | add)')" "1 $MERGED $MERGED_BYTES $merged_reads $MERGED_BYTES 0"
is "the one that is not read: received and read" "$(server 6002 '\(map(.received.packets) | add) \(map(.read.packets) | add)')" \
    "1 $DEAF 0"
dropped=$(server 6002 '\(map(.dropped) | add)')
at_least "datagrams without room" "${dropped#* }" $((DEAF - 20))
at_most "datagrams without room" "${dropped#* }" $((DEAF - 1))

# nftables counts IP packets, at the sender before a datagram is cut into its segments
read -r packets bytes <<<"$(nft__count "$CLI" "out 6002")"
is "nftables: to 6002" "$packets" "$DEAF"
is "nftables: bytes to 6002" "$bytes" $((DEAF_BYTES + DEAF / 2 * (28 + 48)))
read -r packets bytes <<<"$(nft__count "$SRV" "in 6002")"
is "nftables: 6002 at the server" "$packets" "$DEAF"
read -r packets bytes <<<"$(nft__count "$CLI" "out 6001")"
is "nftables: to 6001, segments uncut" "$packets" $((ALL + 1 - SEGMENTS + 40))
is "nftables: bytes to 6001" "$bytes" $((ALL_BYTES + 3 + (ALL - SEGMENTS + 40) / 2 * (28 + 48) + 28))
read -r packets bytes <<<"$(nft__count "$CLI" "back 6001")"
is "nftables: answers" "$packets" $((400 + 1))
is "answers sent by the server's socket" "$(server 6001 '\(map(.sent.packets) | add)')" "1 401"

# ---- many sockets ----
# a third of them connected; each sends one datagram, to a port where nobody reads what comes
cat >"$TMP/many.py" <<-'END'
	import socket, sys
	for i in range(50000):
	    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	    if i % 3:
	        s.sendto(b"%05d" % i, (sys.argv[1], 53))
	    else:
	        s.connect((sys.argv[1], 53))
	        s.send(b"%05d" % i)
	    s.close()
END
must srv nft -f - <<-'END'
	table inet n {
	    chain i { type filter hook input priority 0
	        udp dport 53 counter drop
	    }
	}
END
ww__start "$CLI" trace udp --comm python3 --port 53 --jsonl "$TMP/many"
bg "$CLI" python3 "$TMP/many.py" $SRV4
MANY=$BG_PID
wait "$MANY" || wrong "the sender failed"
ww__stop
found=$(jq -rn "[inputs | select(.event.action == \"udp-close\" and .process.pid == $MANY and .wirewho.udp.sent == {packets: 1, bytes: 5} and
    .destination.port == 53 and .source.port > 0)] | length" "$TMP/many")
lost=$(tail -n 1 "$TMP/many" | jq .wirewho.trace.lost)
echo "50 000 sockets of one datagram: $found told, $lost lost"
is "sockets that are told, and those that are counted as lost" $((found + lost)) 50000
at_least "sockets that are told" "$found" 49000

# ---- intervals, text, filters ----
bg "$SRV" python3 "$TMP/server.py" >"$TMP/read"
eventually 10 grep -q ready "$TMP/read"
ww__start "$CLI" trace udp --port 6001 1
cli python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(25):
    s.sendto(b'12345', ('$SRV4', 6001))
    time.sleep(0.1)"
ww__stop
at_least "lines of intervals" "$(grep -c '^[0-9:.]* root .* python3 .* -$' "$WW_OUT")" 3
is "the open socket's line at the end: received" "$(awk '/ open$/ { print $10, $11 }' "$WW_OUT")" "25 125"
is "the closed socket's line: sent" "$(awk '/ ms$/ { print $8, $9 }' "$WW_OUT")" "25 125"
ww__start "$CLI" trace udp --comm nobody --jsonl "$TMP/none"
must cli python3 "$TMP/client.py" $SRV4 connected >/dev/null
ww__stop
is "lines of a process that is not there" "$(wc -l <"$TMP/none")" 1
is "every line parses" "$(jq -e . "$TMP/udp" "$TMP/many" >/dev/null && echo yes)" yes
