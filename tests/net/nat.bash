# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Two containers, $A and $B, with the same addresses, behind a host ($RTR) that masquerades them: for the tests that ask whose
# their packets are. Source it after lib.sh. `both HOST KIND` has them talk to the server at the same time from the same port;
# ${OWNER["a HOST KIND"]} is the client's pid then.
# shellcheck disable=SC2034 # used by those who source this

need_root
need nft
# a, b - host ($RTR) - a router - the server ($CLI): what is farther away than the next namespace is as good as outside
A=$WW-a B=$WW-b X=$WW-x
WW_MORE=("$A" "$B" "$X")
for ns in "$A" "$B" "$RTR" "$X" "$CLI"; do net__ns "$ns"; done
net__veth "$RTR" ww-a "$A" eth0 1
net__veth "$RTR" ww-b "$B" eth0 1
net__veth "$RTR" ww-up "$X" ww-down 1
net__veth "$X" ww-out "$CLI" $CLI_IF 1
for ns in "$RTR" "$X"; do ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 0 >/proc/sys/net/ipv4/conf/default/rp_filter'; done
for dev in ww-a ww-b; do net__address "$RTR" $dev 10.0.0.1/24 fd00::1/64; done
for ns in "$A" "$B"; do
    net__address "$ns" eth0 10.0.0.2/24 fd00::2/64
    must ip -n "$ns" route add default via 10.0.0.1
    must ip -n "$ns" -6 route add default via fd00::1
done
net__address "$RTR" ww-up 10.8.0.1/24 fd08::1/64
net__address "$X" ww-down 10.8.0.2/24 fd08::2/64
net__address "$X" ww-out 10.9.0.1/24 fd09::1/64
net__address "$CLI" $CLI_IF 10.9.0.2/24 fd09::2/64
must ip -n "$RTR" route add 10.9.0.0/24 via 10.8.0.2
must ip -n "$RTR" -6 route add fd09::/64 via fd08::2
must ip -n "$CLI" route add default via 10.9.0.1
must ip -n "$CLI" -6 route add default via fd09::1
net__wait "$RTR" ww-a "$RTR" ww-b "$RTR" ww-up "$CLI" $CLI_IF
rtr nft 'table ip probe { chain out { type nat hook postrouting priority 100; masquerade; }
    chain in { type filter hook prerouting priority -300; ct original zone set 1; }; }; delete table ip probe' 2>"$TMP/nft" ||
    skip "nftables cannot masquerade with zones here: $(tail -n 1 "$TMP/nft")"
must rtr nft -f - <<-'END'
	table inet nat {
	    chain zones {
	        type filter hook prerouting priority -300
	        iifname "ww-a" ct original zone set 1
	        iifname "ww-b" ct original zone set 2
	    }
	    chain marks {
	        type filter hook prerouting priority -150
	        iifname "ww-a" ct mark set 1
	        iifname "ww-b" ct mark set 2
	        iifname "ww-up" meta mark set ct mark
	    }
	    chain leave {
	        type nat hook postrouting priority 100
	        oifname "ww-up" masquerade
	    }
	}
END
for n in 1:ww-a 2:ww-b; do
    for family in -4 -6; do
        must ip -n "$RTR" $family rule add fwmark "${n%:*}" lookup $((100 + ${n%:*}))
    done
    must ip -n "$RTR" route add 10.0.0.0/24 dev "${n#*:}" table $((100 + ${n%:*}))
    must ip -n "$RTR" -6 route add fd00::/64 dev "${n#*:}" table $((100 + ${n%:*}))
done

cat >"$TMP/server.py" <<-'END'
	import socket, threading
	def tcp(s):
	    while True:
	        c = s.accept()[0]
	        def echo(c=c):
	            while data := c.recv(4096):
	                c.sendall(data)
	        threading.Thread(target=echo, daemon=True).start()
	def udp(s):
	    while True:
	        s.sendto(*s.recvfrom(4096))
	for host, family in (("10.9.0.2", socket.AF_INET), ("fd09::2", socket.AF_INET6)):
	    t = socket.create_server((host, 8080), family=family)
	    threading.Thread(target=tcp, args=(t,), daemon=True).start()
	    u = socket.socket(family, socket.SOCK_DGRAM)
	    u.bind((host, 8080))
	    threading.Thread(target=udp, args=(u,), daemon=True).start()
	print("ready", flush=True)
	threading.Event().wait()
	END
# HOST KIND N [ADDRESS]: from port 4444 there, N packets' worth back and forth
cat >"$TMP/client.py" <<-'END'
	import socket, sys, time
	host, kind, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
	family = socket.AF_INET6 if ":" in host else socket.AF_INET
	s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
	s.settimeout(10)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind((sys.argv[4] if len(sys.argv) > 4 else "", 4444))
	if kind != "unconnected":
	    s.connect((host, 8080))
	for i in range(n):
	    s.sendto(b"x" * 100, (host, 8080)) if kind == "unconnected" else s.send(b"x" * 100)
	    s.recv(4096)
	    time.sleep(0.005)
	s.close()
	END
bg "$CLI" python3 "$TMP/server.py" >"$TMP/server.out"
eventually 5 grep -q ready "$TMP/server.out" || die "the server did not start"

declare -A OWNER
# both containers at the same time, with the same tuples; 100 from a, 200 from b
both() {
    bg "$A" python3 "$TMP/client.py" "$1" "$2" 100
    OWNER["a $*"]=$BG_PID
    local first=$BG_PID
    sleep 0.2 # not both first packets at a time: connection tracking drops one of two that want the same translation
    bg "$B" python3 "$TMP/client.py" "$1" "$2" 200
    OWNER["b $*"]=$BG_PID
    wait "$first" || wrong "container a's $2 to $1 failed"
    wait "$BG_PID" || wrong "container b's $2 to $1 failed"
}
