#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
# Numbered datagrams through inline: each arrives at its socket once, unaltered and in order, and is in the file.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

# receive FAMILY COUNT ORDER: what is wrong with the datagrams that numbered.py or `datagrams` below sent to port 9000
cat >"$TMP/receive.py" <<'END'
import socket, struct, sys
family, count = (socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET), int(sys.argv[2])
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
s.bind(("", 9000))
s.settimeout(5)
print("listening", flush=True)
numbers = []
try:
    while len(numbers) < count:
        data = s.recv(9000)
        number, = struct.unpack_from("!Q", data)
        if data[8:] != bytes((number + j) & 0xFF for j in range(len(data) - 8)):
            print("datagram %d is altered" % number)
        numbers.append(number)
except socket.timeout:
    pass
late = sum(a > b for a, b in zip(numbers, numbers[1:]))
print("%d received, %d of them different, %d late" % (len(numbers), len(set(numbers)), late))
END
cat >"$TMP/send.py" <<'END'
import socket, struct, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
for number in range(int(sys.argv[2])):
    fill = number * 7 % 120
    s.sendto(struct.pack("!Q", number) + bytes((number + j) & 0xFF for j in range(fill)), (sys.argv[1], 9000))
    if number % 32 == 0:
        time.sleep(0.002)
END

# through WHAT FAMILY COUNT CMD...: CMD sends COUNT of them. A packet that passed for want of credit (the engine had no CPU
# for a while) may overtake: then once more.
through() {
    local what=$1 family=$2 count=$3 failed=$WW_FAILED try
    shift 3
    for try in 1 2 3; do
        cap__start --sample inline 'udp port 9000'
        bg "$SRV" python3 "$TMP/receive.py" "$family" "$count" >"$TMP/received"
        eventually 5 grep -q listening "$TMP/received" || die "the receiver does not listen"
        must "$@"
        wait "$BG_PID"
        cap__end
        [ "$(cap__number no_credit)" -ne 0 ] || break
        echo "try $try: $(cap__number no_credit) passed for want of credit"
    done
    is "at the socket" "$(grep -v listening "$TMP/received")" "$count received, $count of them different, 0 late"
    is "put back" "$(cap__number put_back)" "$count"
    is "in the file" "$(cap__packets)" "$count"
    [ "$WW_FAILED" -eq "$failed" ] || wrong "that was: $what"
}

net__pair 1
must ip -n "$SRV" link set "$SRV_IF" address 02:00:00:00:00:01
through "frames" 4 3000 cap__send 3000 --rate 20000
cap__check 3000
through "frames of a full length" 4 3000 cap__send 3000 --rate 20000 --long 1400
cap__check 3000 --long 1400

# from a socket: with partial checksums, as long as the interface offers to complete them
for tx in on off; do
    offload "$CLI" $CLI_IF $tx tx
    through "datagrams, tx $tx" 4 3000 cli python3 "$TMP/send.py" $SRV4 3000
    through "datagrams, IPv6, tx $tx" 6 3000 cli python3 "$TMP/send.py" $SRV6 3000
done

# as long as can be put back, and a little longer
must ip -n "$SRV" link set "$SRV_IF" mtu 4000
must ip -n "$CLI" link set "$CLI_IF" mtu 4000
through "the longest" 4 1000 cap__send 1000 --rate 20000 --long 3358
cap__check 1000 --long 3358
cap__start --sample inline 'udp port 9000'
cap__send 100 --long 3359
cap__end
is "too long" "$(cap__number too_long)" 100
exit 0
