#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Connections that are older than the tool have owners too, whether or not they move.
. "$(dirname "$0")/lib.sh"

net__pair
nginx__start "$SRV" 1
worker=$(nginx__workers)
mkfifo "$TMP/go"
cat >"$TMP/client.py" <<-'END'
	import http.client, sys
	hosts, n = sys.argv[2:4], int(sys.argv[4])
	c = [http.client.HTTPConnection(h, 80) for h in hosts]
	def ask():
	    for x in c:
	        x.request("GET", "/small")
	        x.getresponse().read()
	ask()
	print("ready", flush=True)
	open(sys.argv[1]).read()
	for i in range(n):
	    ask()
	END
bg "$CLI" python3 "$TMP/client.py" "$TMP/go" $SRV4 $SRV6 200 >"$TMP/client.out"
client=$BG_PID
# a receiver that was there before, and only listens to what it is sent
cat >"$TMP/sink.py" <<-'END'
	import socket, time
	s = socket.create_server(("", 6000))
	print("ready", flush=True)
	c = s.accept()[0]
	print("accepted", flush=True)
	time.sleep(1000)
	END
bg "$SRV" python3 "$TMP/sink.py" >"$TMP/sink.out"
sink=$BG_PID
eventually 5 grep -q ready "$TMP/sink.out" || die "the sink did not start"
cat >"$TMP/source.py" <<-'END'
	import socket, sys, time
	s = socket.create_connection((sys.argv[2], 6000))
	print("ready", flush=True)
	open(sys.argv[1]).read()
	for i in range(20):
	    s.sendall(b"x" * 1000)
	    time.sleep(0.01)
	time.sleep(1000)
	END
mkfifo "$TMP/go2"
bg "$CLI" python3 "$TMP/source.py" "$TMP/go2" $SRV4 >"$TMP/source.out"
eventually 5 grep -q accepted "$TMP/sink.out" || die "the sink got no connection"
eventually 5 grep -q ready "$TMP/client.out" || die "the client did not start"

ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/srv"
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli"
echo >"$TMP/go"
echo >"$TMP/go2"
wait "$client"
sleep 1
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop

pids() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and .destination.port == $2) | .process.pid] | unique | @json" "$1"
}
is "who serves port 80" "$(pids "$TMP/srv" 80)" "[$worker]"
is "who asks port 80" "$(pids "$TMP/cli" 80)" "[$client]"
is "who holds port 6000 and never reads" "$(pids "$TMP/srv" 6000)" "[$sink]"
is "how that is known" "$(jq -rn '[inputs | select(.destination.port == 6000) | .wirewho.attribution] | unique | @json' "$TMP/srv")" \
    '["snapshot"]'
read -r rx _ tx _ <<<"$(sums "$TMP/srv" 'select(.destination.port == 80)')"
at_least "packets of the older connections" $((rx + tx)) 800
