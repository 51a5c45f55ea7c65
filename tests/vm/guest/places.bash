# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the tests with VLANs, bonds, bridges, macvlans and netem share. Source it after lib.sh.
#
#     place__kind KIND MODULE            skips where this kernel has no such interfaces
#     place__address NS IF N             10.77.N.1 there in $SRV, 10.77.N.2 elsewhere, and up
#     place__echo NS                     answers datagrams of port 5000; $ECHO is its pid
#     place__ask NS HOST COUNT           so many datagrams of 100 bytes, each answered; $ASKER is its pid
#     place__is WHAT FILE IF PID COUNT BYTES
#                                        the records of port 5000 on that interface: COUNT packets of BYTES each way, all
#                                        of them the process PID's
#     place__total WHAT FILE COUNT       without what is marked as repeated: so many packets in all, both ways
#     place__advice IF FACT FIX          what `doctor` says of its place

place__kind() {
    need_root
    need python3 jq
    modprobe "$2" 2>/dev/null || unshare --net ip link add type "$2" 2>/dev/null || skip "this kernel has no $1 ($2)"
}

place__address() {
    local end=2
    [ "$1" != "$SRV" ] || end=1
    net__address "$1" "$2" "10.77.$3.$end/24" "fd77:$3::$end/64"
}

place__echo() {
    cat >"$TMP/echo.py" <<-'END'
	import socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("", 5000))
	print("ready", flush=True)
	while True:
	    data, peer = s.recvfrom(2000)
	    s.sendto(data, peer)
	END
    bg "$1" python3 "$TMP/echo.py" >"$TMP/echo.$1"
    ECHO=$BG_PID
    eventually 10 grep -q ready "$TMP/echo.$1" || die "nobody answers in $1"
}

place__ask() {
    cat >"$TMP/ask.py" <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(30)
	s.connect((sys.argv[1], 5000))
	for i in range(int(sys.argv[2])):
	    s.send(b"x" * 100)
	    s.recv(2000)
	END
    bg "$1" python3 "$TMP/ask.py" "$2" "$3"
    ASKER=$BG_PID
    wait "$ASKER" || die "a datagram from $1 to $2 had no answer"
}

ECHOES='select(.source.port == 5000 or .destination.port == 5000)'

place__is() {
    local on="$ECHOES | select(.observer.ingress.interface.name == \"$3\")"
    is "$1: packets and bytes each way on $3" "$(sums "$2" "$on")" "$5 $(($5 * $6)) $5 $(($5 * $6))"
    is "$1: whose they are" "$(jq -rn "[inputs | select(.event.kind == \"metric\") | $on | .process.pid] | unique | join(\" \")" "$2")" "$4"
}

place__total() {
    local rx tx
    read -r rx _ tx _ <<<"$(sums "$2" "$ECHOES | select(.wirewho.repeated | not)")"
    is "$1: packets in all, each once" $((rx + tx)) "$3"
    is "$1: lines of the ledger that do not close" "$(ledger "$2" '[.lines[] | select(.difference != 0)] | length')" 0
}

place__advice() {
    local said
    said=$(srv "$WIREWHO" doctor --json -i "$1" | jq -c "select(.scope == \"$1\" and .check == \"place\")")
    contains "the doctor on $1" "$(jq -r .fact <<<"$said")" "$2"
    contains "what the doctor would do about $1" "$(jq -r .fix <<<"$said")" "$3"
}
