#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# UDP, both families: connected and unconnected clients, a server that answers, and one that never reads.
. "$(dirname "$0")/lib.sh"

net__pair
cat >"$TMP/server.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
	s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, len(sys.argv) > 3)
	s.bind(("::", int(sys.argv[1])))
	print("ready", flush=True)
	while True:
	    if sys.argv[2] == "deaf":
	        import time
	        time.sleep(1000)
	    data, peer = s.recvfrom(2000)
	    s.sendto(data, peer)
	END
cat >"$TMP/client.py" <<-'END'
	import socket, sys, time
	host, port, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
	s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(5)
	if how == "connected":
	    s.connect((host, port))
	for i in range(1000):
	    s.send(b"x" * 100) if how == "connected" else s.sendto(b"x" * 100, (host, port))
	    if how != "blind":
	        s.recv(2000)
	    elif i % 50 == 49:
	        time.sleep(0.01) # a veth drops what comes faster than it is taken
	END

# start PORT HOW [only6]: a server; $SERVER is its pid
start() {
    bg "$SRV" python3 "$TMP/server.py" "$@" >"$TMP/server.$1"
    SERVER=$BG_PID
    eventually 5 grep -q ready "$TMP/server.$1" || die "the server on port $1 did not start"
}

# client HOST PORT HOW: its pid is kept by port, how and host
declare -A CLIENT
client() {
    bg "$CLI" python3 "$TMP/client.py" "$@"
    CLIENT["$*"]=$BG_PID
    wait "$BG_PID" || wrong "the client $* failed"
}

start 5001 answers
older=$SERVER
start 5003 deaf
older_deaf=$SERVER
ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/srv"
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli"
start 5002 answers
younger=$SERVER
start 5004 deaf
younger_deaf=$SERVER
start 5005 deaf only6
only6=$SERVER
for host in $SRV4 $SRV6; do
    for how in connected unconnected; do
        client "$host" 5001 $how
        client "$host" 5002 $how
    done
    client "$host" 5003 blind
    client "$host" 5004 blind
done
# to one that takes no IPv4: the kernel answers that nobody is there
cli python3 "$TMP/client.py" $SRV4 5005 blind 2>/dev/null
cli python3 "$TMP/client.py" $SRV6 5005 blind || wrong "the client of port 5005 failed"
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop

# owners FILE JQ: "pid packets" of those flows, summed over the records, and nothing else
owners() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and ($2))] | group_by(.process.pid) |
        map(\"\(.[0].process.pid) \(map(.source.packets + .destination.packets) | add)\") | join(\", \")" "$1"
}

how() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and ($2)) | .wirewho.attribution] | unique | join(\" \")" "$1"
}

is "older server, port 5001" "$(owners "$TMP/srv" '.destination.port == 5001')" "$older 8000"
is "younger server, port 5002" "$(owners "$TMP/srv" '.destination.port == 5002')" "$younger 8000"
is "how the younger server is known" "$(how "$TMP/srv" '.destination.port == 5002')" exact
is "older server that never reads" "$(owners "$TMP/srv" '.destination.port == 5003')" "$older_deaf 2000"
is "how it is known" "$(how "$TMP/srv" '.destination.port == 5003')" snapshot
is "younger server that never reads" "$(owners "$TMP/srv" '.destination.port == 5004')" "$younger_deaf 2000"
is "how it is known" "$(how "$TMP/srv" '.destination.port == 5004')" bound
is "IPv6 to a server that takes nothing else" "$(owners "$TMP/srv" '.destination.port == 5005 and .network.type == "ipv6"')" "$only6 1000"
is "IPv4 to it" "$(owners "$TMP/srv" '.destination.port == 5005 and .network.type == "ipv4"')" "null 1000"
for who in "${!CLIENT[@]}"; do
    read -r host port how <<<"$who"
    pid=${CLIENT[$who]}
    packets=2000
    [ "$how" != blind ] || packets=1000
    is "client $who" "$(owners "$TMP/cli" ".process.pid == $pid")" "$pid $packets"
    is "how client $who is known" "$(how "$TMP/cli" ".process.pid == $pid")" exact
done
is "flows at the client without an owner" "$(owners "$TMP/cli" '.process.pid == null')" ""
