#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Who is on the wire, shown on a network of its own: two namespaces, a veth between them, nginx at one end, and at the
# other wrk, curl and a little UDP over IPv6. Everything is gone when it ends, however it ends.
cd "$(dirname "$0")/.." || exit 1
[ "$(id -u)" -eq 0 ] || { echo "wirewho: the demo makes network namespaces and loads BPF programs: sudo make demo" >&2; exit 1; }
. tests/net/lib.sh

bold='' dim='' plain=''
if [ -t 1 ]; then
    bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'
fi

# step NS TEXT CMD: says what comes, shows the command as one would type it, and runs it in that namespace
step() {
    printf '\n%s%s%s\n%s# %s%s\n' "$bold" "$2" "$plain" "$dim" "$3" "$plain"
    ip netns exec "$1" bash -o pipefail -c "wirewho() { '$WIREWHO' \"\$@\"; }; $3" || die "that did not work"
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
bg "$SRV" /usr/bin/python3 "$TMP/clock.py"
bg "$CLI" /usr/bin/python3 "$TMP/asks.py" $SRV6
bg "$CLI" wrk -t 1 -c 8 -d 60 http://$SRV4/small >/dev/null
bg "$CLI" bash -c "while :; do curl -s -o /dev/null 'http://[$SRV6]/small'; sleep 0.2; done"

step "$SRV" "Who is on the wire at the server's end:" "wirewho top -i $SRV_IF --once 3"
step "$CLI" "And at the clients' end:" "wirewho top -i $CLI_IF --rows 6 --once 3"
step "$SRV" "Flow by flow:" "wirewho top -i $SRV_IF --by flow --rows 12 --once 3"
step "$SRV" "One flow as a record:" \
    "wirewho run -i $SRV_IF --jsonl - --interval 1 --count 1 --match 'udp port 3700' | sed -n 1p"
printf '\nAll of it was real, and ends now: nginx (%s), its workers (%s), their clients, and the network between them.\n' \
    "$NGINX_PID" "$(nginx__workers | paste -sd ' ')"
