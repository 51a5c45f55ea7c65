#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# Each of the tracers on one small program that knows what it does: what it is told, and that nothing is lost.
. "$(dirname "$0")/../../net/lib.sh"

need python3 jq
net__pair 1
cat >"$TMP/work.py" <<-'END'
	import os, socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	for i in range(300):
	    os.sched_yield()
	l = socket.create_server(("127.0.0.1", 7777))
	c = socket.create_connection(("127.0.0.1", 7777))
	a = l.accept()[0]
	c.send(b"x" * 1000)
	a.recv(2000)
	c.close()
	a.recv(1)
	a.close()
	u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	u.bind(("127.0.0.1", 7778))
	s.connect(("127.0.0.1", 7778))
	for i in range(10):
	    s.send(b"abc")
	    u.recv(9)
	s.close()
	u.close()
END

# told VERB [ARG]...: traces the program; its pid is $WORKER
told() {
    ww__start "$SRV" trace "$@" --jsonl "$TMP/told"
    bg "$SRV" python3 "$TMP/work.py"
    WORKER=$BG_PID
    wait "$WORKER" || wrong "the program failed"
    sleep 2
    ww__stop
    is "trace $1: lost" "$(tail -n 1 "$TMP/told" | jq .wirewho.trace.lost)" 0
}

# its JQ [FORMAT]: of the program's own records
its() { jq -r "select(.process.pid == $WORKER and ($1)) | $2" "$TMP/told"; }

told exec --exits
is "exec" "$(its '.event.action == "exec" and .event.outcome == "success"' '.process.name' | tail -n 1)" python3
told syscalls
is "syscalls: calls of sched_yield" "$(its '.wirewho.syscall.name == "sched_yield"' .wirewho.syscall.calls | awk '{ n += $1 } END { print n }')" 300
told tcp --port 7777
is "tcp: bytes sent and received by those that closed" \
    "$(its '.event.action == "tcp-close"' '"\(.wirewho.tcp.sent.payload_bytes) \(.wirewho.tcp.received.payload_bytes)"' | sort | tr '\n' ,)" "0 1000,1000 0,"
told udp --port 7778
is "udp: sent and received by those that closed" \
    "$(its '.event.action == "udp-close"' '"\(.wirewho.udp.sent.packets) \(.wirewho.udp.received.packets)"' | sort | tr '\n' ,)" "0 10,10 0,"
exit 0
