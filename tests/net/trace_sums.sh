#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# What `trace tcp` says of a connection that is closed is what the flow records of `run` add up to: packets and bytes, both
# ways, and the owner; for every connection, at both ends, whichever closes first.
. "$(dirname "$0")/lib.sh"

net__pair
need nginx wrk
offload "$SRV" $SRV_IF off gro
offload "$CLI" $CLI_IF off gro
# No selective acknowledgements, whose options differ in length, and no probes of what is not lost.
for ns in "$SRV" "$CLI"; do
    must ip netns exec "$ns" sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_early_retrans=0 net.ipv4.tcp_fastopen=3
done
cat >"$TMP/server.py" <<-'END'
	import socket, sys, threading
	def serve(c):
	    with c:
	        f = c.makefile("rb")
	        how, up, down = f.readline().split()
	        f.read(int(up))
	        c.sendall(b"x" * int(down))
	        if how == b"client":
	            f.read(1)
	def listen(port):
	    s = socket.socket(socket.AF_INET6)
	    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 100)
	    s.bind(("::", port))
	    s.listen(100)
	    while True:
	        threading.Thread(target=serve, args=(s.accept()[0],)).start()
	threading.Thread(target=listen, args=(5301,)).start()
	print("ready", flush=True)
	listen(5300)
	END
cat >"$TMP/client.py" <<-'END'
	import socket, sys
	for host in sys.argv[1:]:
	    for i in range(50):
	        for how in ("client", "server"):
	            up, down = ((0, 0), (1, 0), (100, 5000), (40000, 10), (100000, 300000))[i % 5]
	            with socket.create_connection((host, 5300)) as c:
	                c.sendall(b"%s %d %d\n" % (how.encode(), up, down) + b"x" * up)
	                if how == "server":
	                    while c.recv(65536):
	                        pass
	                else:
	                    while down:
	                        down -= len(c.recv(min(down, 65536)))
	    for i in range(20):  # the first one of an address asks for a cookie, the others have their data in the SYN
	        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as c:
	            c.sendto(b"server 500 700\n" + b"x" * 500, socket.MSG_FASTOPEN, (host, 5301))
	            while c.recv(65536):
	                pass
	END
bg "$SRV" python3 "$TMP/server.py" >"$TMP/ready"
SERVER=$BG_PID
eventually 5 grep -q ready "$TMP/ready" || die "the server did not start"
nginx__start "$SRV" 2

ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/srv" --interval 1
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli" --interval 1
cli_pid=$WW_PID cli_err=$WW_ERR
ww__start "$SRV" trace tcp --close --port 5300 --port 5301 --port 80 --jsonl "$TMP/trace"
must cli python3 "$TMP/client.py" $SRV4 $SRV6
bg "$CLI" wrk -t 1 -c 8 -d 3 -H 'Connection: close' "http://$SRV4/small" >"$TMP/wrk"
WRK=$BG_PID
wait "$BG_PID"
sleep 1
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop
WW_PID=$cli_pid WW_ERR=$cli_err
ww__stop
is "lost" "$(tail -n 1 "$TMP/trace" | jq .wirewho.trace.lost)" 0

# flows FILE PORT: "CLIENT_PORT sent_packets sent_bytes received_packets received_bytes pid" a connection, as of this end
flows() {
    jq -rn "reduce (inputs | select(.event.kind == \"metric\" and .destination.port == $2)) as \$r ({};
        (if \$r.wirewho.local == \"source\" then [\$r.source, \$r.destination] else [\$r.destination, \$r.source] end) as [\$near, \$far]
        | .[\$r.source.port | tostring] |= [.[0] + \$near.packets, .[1] + \$near.bytes, .[2] + \$far.packets, .[3] + \$far.bytes,
            \$r.process.pid]) | to_entries[] | \"\(.key) \(.value | map(tostring) | join(\" \"))\"" "$1" | sort
}

# Other connections of the host use port 80 too: ours are those of the two network namespaces.
netns() { jq -r "select(.event.action == \"tcp-close\" and .destination.port == 5300) | .wirewho.netns" "$TMP/trace" | sort -u | tr '\n' ,; }
NETNS=$(netns)

# closed LOCAL PORT: the same as `trace tcp` has it. A frame has 14 bytes of Ethernet, the IP header, 32 of TCP (with time
# stamps), SYN and SYN-ACK 8 more. After a socket that went while it awaited the peer's FIN, that FIN and its ACK come.
closed() {
    jq -r "select(.event.action == \"tcp-close\" and .destination.port == $2 and .wirewho.local == \"$1\" and
            (.wirewho.netns | IN(${NETNS%,}))) | .wirewho.tcp as \$t
        | (if \$t.timewait == \"FIN_WAIT2\" then 1 else 0 end) as \$after
        | (14 + (if .network.type == \"ipv4\" then 20 else 40 end) + 32) as \$headers
        | [.source.port] + ([\$t.sent, \$t.received] | map((.segments + \$after) as \$n | [\$n, .payload_bytes + \$n * \$headers + 8]) | add)
            + [.process.pid] | map(tostring) | join(\" \")" "$TMP/trace" | sort
}

# Without loss there is nothing to send again; but a segment may be, by mistake, and then the receiver counts payload once.
again() { jq -r 'select(.event.action == "tcp-close" and .wirewho.tcp.sent.retransmitted_segments > 0) | .source.port' "$TMP/trace"; }
AGAIN=" $(again | tr '\n' ' ')"
once() {
    awk -v again="$AGAIN" 'index(again, " " $1 " ") == 0 { for (i = 2; i < 6; i++) sum[$1, i] += $i; pid[$1] = $6 }
        END { for (p in pid) print p, sum[p, 2], sum[p, 3], sum[p, 4], sum[p, 5], pid[p] }' | sort
}

# compare WHAT FLOWS CLOSED LEAST
compare() {
    at_least "$1: connections" "$(wc -l <<<"$3")" "$4"
    is "$1: connections that differ" "$(diff <(echo "$2") <(echo "$3") | head -n 5)" ""
}
compare "at the server" "$(flows "$TMP/srv" 5300 | once)" "$(closed destination 5300 | once)" 190
compare "at the client" "$(flows "$TMP/cli" 5300 | once)" "$(closed source 5300 | once)" 190
at_least "connections that had data in their SYN" "$(srv nstat -asz TcpExtTCPFastOpenPassive | awk '$1 ~ /^Tcp/ { print $2 }')" 38
# With data in the SYN its options differ in length, so here packets and payload.
opened_fast() { awk '{ print $1, $2, $4, $6 }'; }
compare "fast open, at the server" "$(flows "$TMP/srv" 5301 | once | opened_fast)" "$(closed destination 5301 | once | opened_fast)" 40
compare "fast open, at the client" "$(flows "$TMP/cli" 5301 | once | opened_fast)" "$(closed source 5301 | once | opened_fast)" 40
is "fast open: payload, of each connection" "$(jq -r "select(.event.action == \"tcp-close\" and .destination.port == 5301) | .wirewho as \$w |
    \"\(\$w.local) \(\$w.tcp.sent.payload_bytes) \(\$w.tcp.received.payload_bytes)\"" "$TMP/trace" | sort | uniq -c | sed 's/^ *//')" \
    "40 destination 700 515
40 source 515 700"
is "the server's owner" "$(closed destination 5300 | cut -d ' ' -f 6 | sort -u)" "$SERVER"

# wrk ends in the middle of its last requests, so here the owners alone: "CLIENT_PORT pid" of each connection whose port
# was used once (of two within a second, flow records cannot know which packets were whose).
told() { closed "$1" 80 | cut -d ' ' -f 1,6 | awk '{ n[$1]++; pid[$1] = $2 } END { for (p in n) if (n[p] == 1) print p, pid[p] }' | sort; }
flowed() {
    jq -r 'select(.event.kind == "metric" and .destination.port == 80 and .wirewho.attribution == "exact") | "\(.source.port) \(.process.pid)"' "$1" | sort -u
}
for end in srv:destination cli:source; do
    ours=$(told ${end#*:})
    at_least "wrk's connections at ${end%:*}" "$(wc -l <<<"$ours")" 500
    is "owners of wrk's connections at ${end%:*} that differ" \
        "$(diff <(flowed "$TMP/${end%:*}" | join - <(cut -d ' ' -f 1 <<<"$ours")) - <<<"$ours" | head -n 5)" ""
done
is "wrk's owner" "$(told source | cut -d ' ' -f 2 | sort -u)" "$WRK"
