#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Who is on the wire, shown on a network of its own: two namespaces, a veth between them, nginx at one end, and at the
# other wrk, curl and a little UDP over IPv6. Everything is gone when it ends, however it ends.
cd "$(dirname "$0")/.." || exit 1
[ "$(id -u)" -eq 0 ] || { echo "wirewho: the demo makes network namespaces and loads BPF programs: sudo make demo" >&2; exit 1; }
. tests/net/lib.sh

step() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

show() {
    printf '\033[2m$ %s\033[0m\n' "$*"
}

echo "Two network namespaces, a veth between them: nginx at $SRV4 and $SRV6, its clients at $CLI4 and $CLI6."
net__pair 2
nginx__start "$SRV" 2
cat >"$TMP/clock.py" <<-'END'
	import socket, time
	s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
	s.bind(("::", 3700))
	while True:
	    s.sendto(time.ctime().encode(), s.recvfrom(100)[1])
	END
cat >"$TMP/asks.py" <<-'END'
	import socket, sys, time
	s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
	s.settimeout(1)
	s.connect((sys.argv[1], 3700))
	while True:
	    try:
	        s.send(b"time?")
	        s.recv(100)
	    except OSError:
	        pass
	    time.sleep(0.01)
	END
bg "$SRV" python3 "$TMP/clock.py"
bg "$CLI" python3 "$TMP/asks.py" $SRV6
bg "$CLI" wrk -t 1 -c 8 -d 60 http://$SRV4/small >/dev/null
bg "$CLI" bash -c "while :; do curl -s -o /dev/null 'http://[$SRV6]/small'; sleep 0.2; done"

step "At the server's end:"
show "wirewho top -i $SRV_IF --once 3"
must srv "$WIREWHO" top -i $SRV_IF --once 3

step "At the clients' end, flow by flow:"
show "wirewho top -i $CLI_IF --by flow --once 3"
must cli "$WIREWHO" top -i $CLI_IF --by flow --once 3

step "The same as records, one JSON object a line (the first of them):"
show "wirewho run -i $SRV_IF --jsonl - --interval 2 --count 1"
srv "$WIREWHO" run -i $SRV_IF --jsonl "$TMP/flows" --interval 2 --count 1 || die "wirewho run failed"
head -n 1 "$TMP/flows"
