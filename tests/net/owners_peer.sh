#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Both ends on one host: each record names the process at its own end, and the other one as its peer; over a veth between
# two namespaces, and on loopback. What the kernel answers by itself has no owner, but its peer is known.
. "$(dirname "$0")/lib.sh"

net__pair
cat >"$TMP/server.py" <<-'END'
	import socket
	s = socket.create_server(("", 5000))
	u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	u.bind(("", 5000))
	print("ready", flush=True)
	for i in range(2):
	    c = s.accept()[0]
	    while data := c.recv(1000):
	        c.sendall(data)
	    data, peer = u.recvfrom(1000)
	    u.sendto(data, peer)
	END
cat >"$TMP/client.py" <<-'END'
	import socket, sys
	s = socket.create_connection((sys.argv[1], 5000))
	for i in range(10):
	    s.sendall(b"x")
	    s.recv(1)
	s.close()
	u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	u.connect((sys.argv[1], 5000))
	u.send(b"x")
	u.recv(1)
	END
bg "$SRV" python3 "$TMP/server.py" >"$TMP/server.out"
server=$BG_PID
eventually 5 grep -q ready "$TMP/server.out" || die "the server did not start"
ww__start "$SRV" run -i $SRV_IF -i lo --mode auto --jsonl "$TMP/srv"
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli"
bg "$CLI" python3 "$TMP/client.py" $SRV4
client=$BG_PID
wait "$client" || wrong "the client failed"
bg "$SRV" python3 "$TMP/client.py" 127.0.0.1
local=$BG_PID
wait "$local" || wrong "the client on loopback failed"
cat >"$TMP/refused.py" <<-'END'
	import socket
	try:
	    socket.create_connection(("10.77.0.1", 5999))
	except ConnectionRefusedError:
	    pass
	END
bg "$CLI" python3 "$TMP/refused.py"
refused=$BG_PID
wait "$refused"
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop

# who FILE JQ: "TRANSPORT OWN-END PROCESS PEER" of these flows
who() {
    jq -r "select(.event.kind == \"metric\" and ($2)) | \"\(.network.transport) \(.wirewho.local) \(.process.pid) \(.wirewho.peer.process.pid)\"" \
        "$1" | sort -u
}
is "at the server" "$(who "$TMP/srv" '.observer.ingress.interface.name == "ww-srv" and .destination.port == 5000')" \
    "tcp destination $server $client
udp destination $server $client"
is "at the client" "$(who "$TMP/cli" '.destination.port == 5000')" "tcp source $client $server
udp source $client $server"
is "on loopback" "$(who "$TMP/srv" '.observer.ingress.interface.name == "lo" and .destination.port == 5000')" \
    "tcp destination $server $local
tcp source $local $server
udp destination $server $local
udp source $local $server"
is "what the kernel refuses" "$(who "$TMP/srv" '.destination.port == 5999')" "tcp destination null $refused"
is "whom it refuses" "$(who "$TMP/cli" '.destination.port == 5999')" "tcp source $refused null"
is "the peer's name and user" "$(jq -r "select(.wirewho.peer.process.pid == $client) | .wirewho.peer |
    .process.name + \" \" + .user.name + \" \" + .attribution" "$TMP/srv" | sort -u)" "python3 root exact"
# every packet's quality, in the ledger and at the end of the run: a SYN that nobody waits for and its answer are nobody's
is "packets by quality: the sum" "$(ledger "$TMP/srv" '[.attribution[].packets] | add')" \
    "$(jq -rn '[inputs | select(.event.kind == "metric") | .source.packets + .destination.packets] | add' "$TMP/srv")"
is "bytes by quality: the sum" "$(ledger "$TMP/srv" '[.attribution[].bytes] | add')" \
    "$(jq -rn '[inputs | select(.event.kind == "metric") | .source.bytes + .destination.bytes] | add' "$TMP/srv")"
is "packets of nobody" "$(ledger "$TMP/srv" .attribution.none.packets)" 2
is "the line at the end" "$(sed -nE 's/^owners: .*, ([0-9.]+)% of packets .* none$/\1/p' "$srv_err")" \
    "$(printf %.2f "$(ledger "$TMP/srv" '.attribution | .none.packets * 100 / ([.[].packets] | add)')")"
