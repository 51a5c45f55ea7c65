#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A process that changes its name without an exec, by prctl and by /proc: its packets bear the name it has, in records and
# in a capture. A thread's name is not the process's.
. "$(dirname "$0")/lib.sh"

need jq
net__pair
cat >"$TMP/server.py" <<-'END'
	import socket
	s = socket.create_server(("", 5000))
	print("ready", flush=True)
	while True:
	    c = s.accept()[0]
	    while data := c.recv(100):
	        c.sendall(data)
	END
cat >"$TMP/client.py" <<-'END'
	import ctypes, os, socket, sys, threading, time
	prctl = ctypes.CDLL(None).prctl
	def name(n):
	    prctl(15, n.encode(), 0, 0, 0)
	def to_proc(n):
	    open("/proc/self/comm", "w").write(n)
	def ask():
	    name("a-thread")
	    s = socket.create_connection((sys.argv[1], 5000))
	    while True:
	        s.sendall(b"x")
	        s.recv(1)
	        time.sleep(0.02)
	name("first")
	threading.Thread(target=ask, daemon=True).start()
	steps = {"second": name, "third (x) S 1": to_proc, "": name, "fourth": name}
	for line in open(sys.argv[2]):
	    n = line.rstrip("\n")
	    if n == "end":
	        name("the-last")
	        break
	    steps[n](n)
	END
bg "$SRV" python3 "$TMP/server.py" >"$TMP/server.out"
eventually 10 grep -q ready "$TMP/server.out" || die "the server did not start"
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli" --interval 1
mkfifo "$TMP/steps"
exec 9<>"$TMP/steps"
bg "$CLI" python3 "$TMP/client.py" $SRV4 "$TMP/steps"
client=$BG_PID

# names FILE: that the client's packets had, in order
names() {
    jq -r "select(.event.kind == \"metric\" and .process.pid == $client) | \"<\(.process.name)>\"" "$1" 2>/dev/null | uniq | tr -d '\n'
}

reaches() {
    [ "$(names "$TMP/cli")" = "$1" ]
}

seen='<first>'
eventually 20 reaches "$seen" || wrong "the names are $(names "$TMP/cli"), should be $seen"
for step in second 'third (x) S 1' '' fourth; do
    seen="$seen<$step>"
    echo "$step" >&9
    eventually 20 reaches "$seen" || wrong "the names are $(names "$TMP/cli"), should be $seen"
done
ww__stop
# the same of a capture
bg "$CLI" "$WIREWHO" capture -i $CLI_IF -w "$TMP/packets" --sample copy 'tcp port 5000' 2>"$TMP/capture.err"
capture=$BG_PID
eventually 20 grep -q capturing "$TMP/capture.err" || die "wirewho does not capture: $(cat "$TMP/capture.err")"
sleep 1
echo second >&9
sleep 2.5
echo end >&9
wait "$client"
sleep 0.5
kill "$capture"
wait "$capture" || wrong "capture: $(cat "$TMP/capture.err")"
is "names in the capture" "$(grep -ao "pid=$client comm=[^ ]*" "$TMP/packets" | uniq | cut -d = -f 3 | tr '\n' ' ')" \
    "fourth second the-last "
