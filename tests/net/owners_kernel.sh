#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the kernel sends through its own sockets is its own: the outer packets of a VXLAN tunnel, though each carries a
# process's own; and the inner ones are that process's, on the tunnel's interface. What it answers by itself inside (ping,
# neighbours) has nobody's name at the sending end. A tunnel that is taken down has no port any more.
. "$(dirname "$0")/lib.sh"

# tunnel NAME ID PORT NETWORK: between both ends
tunnel() {
    local n ns dev far number
    for n in "$SRV:$SRV_IF:$CLI4:1" "$CLI:$CLI_IF:$SRV4:2"; do
        IFS=: read -r ns dev far number <<<"$n"
        ip -n "$ns" link add "$1" type vxlan id "$2" remote "$far" dstport "$3" dev "$dev" 2>"$TMP/vx" ||
            skip "no VXLAN devices here: $(cat "$TMP/vx")"
        must ip -n "$ns" address add "$4.$number/24" dev "$1"
        must ip -n "$ns" link set "$1" up
    done
}

net__pair
tunnel ww-vx 7 4789 10.66.0
cat >"$TMP/echo.py" <<-'END'
	import socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("10.66.0.1", 5000))
	print("ready", flush=True)
	while True:
	    s.sendto(*s.recvfrom(100))
	END
bg "$SRV" python3 "$TMP/echo.py" >"$TMP/echo.out"
server=$BG_PID
eventually 5 grep -q ready "$TMP/echo.out" || die "the server did not start"
nginx__start "$SRV" 1
ww__start "$SRV" run -i $SRV_IF -i ww-vx --mode generic --jsonl "$TMP/srv"
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF -i ww-vx --mode generic --jsonl "$TMP/cli"
tunnel ww-vy 8 4790 10.67.0 # ip, which makes the kernel open its socket, does not own that
must cli ping -q -c 5 -i 0.05 10.67.0.1
cat >"$TMP/ask.py" <<-'END'
	import socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(5)
	for i in range(50):
	    s.sendto(b"x", ("10.66.0.1", 5000))
	    s.recv(10)
	END
bg "$CLI" python3 "$TMP/ask.py"
client=$BG_PID
wait "$client" || wrong "the client failed"
cli curl -fsS -m 5 -o /dev/null http://10.66.0.1/small || wrong "curl failed"
must ip -n "$SRV" link del ww-vy
sleep 2.5 # it is looked for with each harvest
cli python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 6000))
for i in range(10):
    s.sendto(b"x", ("10.77.0.1", 4790))'
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err
ww__stop

# who FILE INTERFACE JQ: the processes of these flows
who() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and .observer.ingress.interface.name == \"$2\" and ($3))
        | .process.pid] | unique | @json" "$1"
}
how() {
    jq -rn "[inputs | select(.event.kind == \"metric\" and .observer.ingress.interface.name == \"$2\" and ($3))
        | .wirewho.attribution] | unique | @json" "$1"
}
for end in "srv $SRV_IF" "cli $CLI_IF"; do
    read -r file dev <<<"$end"
    is "whose the packets to the tunnel are at $dev" "$(who "$TMP/$file" "$dev" '.destination.port == 4789 and .wirewho.local == "destination"')" '[0]'
    is "how that is known" "$(how "$TMP/$file" "$dev" '.destination.port == 4789 and .wirewho.local == "destination"')" '["snapshot"]'
    is "whose the packets to the younger one are at $dev" "$(who "$TMP/$file" "$dev" '.destination.port == 4790 and .source.port != 6000 and .wirewho.local == "destination"')" '[0]'
    is "what the kernel is called" "$(jq -r 'select(.process.pid == 0) | .process.name' "$TMP/$file" | sort -u)" '[kernel]'
    at_least "packets sent by the tunnel at $dev that are the kernel's" "$(jq -rn "[inputs | select(.observer.ingress.interface.name == \"$dev\" and
        .destination.port == 4789 and .wirewho.local == \"source\" and .process.pid == 0) | .source.packets] | add" "$TMP/$file")" 50
    at_least "packets of the tunnel at $dev" "$(jq -rn "[inputs | select(.observer.ingress.interface.name == \"$dev\" and
        (.destination.port == 4789 or .source.port == 4789)) | .source.packets + .destination.packets] | add" "$TMP/$file")" 100
done
is "whose the port is when the tunnel is gone" "$(who "$TMP/srv" $SRV_IF '.destination.port == 4790 and .source.port == 6000')" '[null]'
is "who answers inside" "$(who "$TMP/srv" ww-vx '.destination.port == 5000')" "[$server]"
is "who asks inside" "$(who "$TMP/cli" ww-vx '.destination.port == 5000')" "[$client]"
is "who else asks inside" "$(jq -r 'select(.destination.port == 80) | .process.name' "$TMP/cli" | sort -u)" curl
