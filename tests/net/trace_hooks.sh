#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# Where a kernel lacks a hook: another one is taken, or what goes missing is said, or that there is no doing without. The
# kernel's own types say what it has; in a mount namespace of its own wirewho finds them with a name or two written otherwise.
. "$(dirname "$0")/lib.sh"

TYPES=/sys/kernel/btf/vmlinux
net__pair
[ -r $TYPES ] || skip "this kernel does not show its types"

# without NAME...: from here on the kernel has none of these
without() {
    local name script=
    for name in "$@"; do
        script+="s/$name/${name%?}_/g;"
    done
    must sed "$script" $TYPES >"$TMP/types"
}
# start ARG...: as ww__start, on such a kernel
start() {
    : >"$TMP/err"
    # shellcheck disable=SC2016 # for the shell inside
    unshare --mount --propagation private sh -c 'mount --bind "$0" '$TYPES' && exec "$@"' "$TMP/types" "$WIREWHO" "$@" \
        >"$TMP/out" 2>"$TMP/err" &
    WW_PID=$! WW_ERR=$TMP/err
    WW_PIDS+=("$WW_PID")
    eventually 20 ww__began || die "wirewho does not begin to watch: $(cat "$TMP/err")"
}
said() { grep '^wirewho: trace ' "$TMP/err"; }

cat >"$TMP/talk.py" <<-'END'
	import socket, sys
	with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as s:
	    s.bind((sys.argv[1], 6001))
	    for i in range(10):
	        s.sendto(b"x" * i, (sys.argv[1], 6001))
	        s.recv(100)
	    try:
	        s.sendto(b"x" * 65536, (sys.argv[1], 6001))
	    except OSError as e:
	        print("refused", e.errno)
END

# what is read, and what cannot be sent
without btf_trace_sock_send_length btf_trace_sock_recv_length
start trace udp --port 6001 --jsonl "$TMP/udp"
for host in $SRV4 $SRV6; do
    is "the datagram that is too long" "$(srv python3 "$TMP/talk.py" "$host")" "refused 90"
done
sleep 0.3
ww__stop
read=$(jq -r '.wirewho.udp // empty | "\(.sent.packets) \(.read.packets) \(.read.bytes) \(.send_errors)"' "$TMP/udp" | sort -u)
case $(said) in
*instead*)
    echo "functions can be watched here: they stand in"
    is "what it says" "$(said)" "wirewho: trace udp: this kernel has no hook tp_btf/sock_send_length: taking fexit/inet_sendmsg and fexit/inet6_sendmsg instead
wirewho: trace udp: this kernel has no hook tp_btf/sock_recv_length: taking fexit/inet_recvmsg and fexit/inet6_recvmsg instead"
    is "sent, read, bytes, send errors" "$read" "10 10 45 1"
    ;;
*)
    echo "functions cannot be watched here: nothing stands in"
    contains "what it says" "$(said)" "trace udp: this kernel has no hook tp_btf/sock_send_length, nor fexit/inet_sendmsg ("
    contains "what it says" "$(said)" "), nor fexit/inet6_sendmsg ("
    contains "what it says" "$(said)" "): send errors are not counted"
    contains "what it says" "$(said)" "): what processes read, and receive errors, are not counted"
    is "sent, read, bytes, send errors" "$read" "10 0 0 0"
    ;;
esac

# a name in a line goes missing, and that is said
without btf_trace_tcp_send_reset
start trace tcp --close
ww__stop
is "what it says" "$(said)" \
    "wirewho: trace tcp: this kernel has no hook tp_btf/tcp_send_reset: resets that this host sends are not named"

# nothing can be done without it
without btf_trace_sched_process_exec
start trace exec
wait "$WW_PID"
is "the exit code" $? 1
is "what it says" "$(cat "$TMP/err")" \
    "wirewho: trace exec: this kernel has no hook tp_btf/sched_process_exec; there is no other one for it"
