#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 60
# netem loses, doubles and reorders what both ends send: received packets are those that arrived, sent ones those that went
# into the queue, and all of them have their process.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/places.bash"

place__kind netem sch_netem
need nginx curl
net__pair 1
offload "$SRV" $SRV_IF off tso gso gro
offload "$CLI" $CLI_IF off tso gso gro
nginx__start "$SRV" 1
head -c 300000 /dev/zero >"$TMP/nginx/www/page"
for end in "$SRV $SRV_IF" "$CLI $CLI_IF"; do
    # shellcheck disable=SC2086 # two words
    set -- $end
    must tc -n "$1" qdisc add dev "$2" root netem delay 5ms 3ms loss 3% duplicate 2% reorder 25% 50%
done
place__echo "$SRV"
cat >"$TMP/send.py" <<-'END'
	import socket, sys, time
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	for i in range(1000):
	    s.sendto(b"x" * 100, (sys.argv[1], 5000))
	    time.sleep(0.001)
END

quiet "$SRV" $SRV_IF
ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/srv"
srv_pid=$WW_PID srv_err=$WW_ERR
ww__start "$CLI" run -i $CLI_IF --jsonl "$TMP/cli"
bg "$CLI" python3 "$TMP/send.py" $SRV4
sender=$BG_PID
wait "$sender" || wrong "the sender failed"
bg "$CLI" curl -sS -m 100 -o "$TMP/page" http://$SRV4/page
page=$BG_PID
wait "$page" || wrong "curl failed"
quiet "$SRV" $SRV_IF
ww__stop
WW_PID=$srv_pid WW_ERR=$srv_err ww__stop

# "received sent" of the datagrams at that end
datagrams() { read -r rx _ tx _ <<<"$(sums "$1" "$ECHOES | select(.network.transport == \"udp\")")"; echo "$rx $tx"; }
udp() { ip netns exec "$1" nstat -asz UdpInDatagrams UdpOutDatagrams UdpNoPorts | awk '/^Udp/ { n[$1] = $2 }
    END { print n["UdpInDatagrams"] + n["UdpNoPorts"], n["UdpOutDatagrams"] }'; }
is "the server's datagrams, received and sent" "$(datagrams "$TMP/srv")" "$(udp "$SRV")"
is "the client's datagrams sent" "$(datagrams "$TMP/cli" | cut -d ' ' -f 2)" 1000
is "the page" "$(stat -c %s "$TMP/page")" 300000
is "whose datagrams, at the server" "$(jq -r "select(.event.kind == \"metric\") | $ECHOES | .process.pid" "$TMP/srv" | sort -u)" "$ECHO"
is "whose datagrams, at the client" "$(jq -r "select(.event.kind == \"metric\") | $ECHOES | .process.pid" "$TMP/cli" | sort -u)" "$sender"
http='select(.source.port == 80 or .destination.port == 80)'
is "whose page, at the client" "$(jq -r "select(.event.kind == \"metric\") | $http | .process.pid" "$TMP/cli" | sort -u)" "$page"
is "whose page, at the server" "$(jq -r "select(.event.kind == \"metric\") | $http | .process.name" "$TMP/srv" | sort -u)" nginx
lost=$(srv nstat -asz TcpRetransSegs | awk '/Retrans/ { print $2 }')
for end in srv cli; do
    is "$end: what does not close" "$(ledger "$TMP/$end" '[.lines[] | select(.difference != 0 and .direction == "receive")] | length')" 0
done
said=$(srv "$WIREWHO" doctor --json -i $SRV_IF | jq -r "select(.check == \"queue\") | .fact")
contains "the doctor" "$said" "netem"
echo "of 1000 datagrams and their answers $(datagrams "$TMP/cli" | cut -d ' ' -f 1) came back; $lost segments were sent again"
exit 0
