#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Somebody else's tcx programs on the same interface stay, whatever becomes of us, and what passes them is counted once: by
# XDP and by tc.
. "$(dirname "$0")/lib.sh"

need bpftool jq python3
net__pair 1
other__build
cat >"$TMP/tcx.py" <<-'END'
	import ctypes, os, platform, signal, socket, struct, sys
	NUMBER = {"x86_64": 321, "aarch64": 280}[platform.machine()]
	libc = ctypes.CDLL(None, use_errno=True)
	def bpf(command, attributes):
	    data = ctypes.create_string_buffer(attributes, 128)
	    fd = libc.syscall(NUMBER, command, data, len(data))
	    if fd < 0:
	        sys.exit("command %d: %s" % (command, os.strerror(ctypes.get_errno())))
	    return fd
	path = ctypes.create_string_buffer(sys.argv[2].encode())
	program = bpf(7, struct.pack("<QII", ctypes.addressof(path), 0, 0))
	where = socket.if_nametoindex(sys.argv[1])
	links = [bpf(28, struct.pack("<IIII", program, where, int(hook), 0)) for hook in sys.argv[3:]]
	print("ready", flush=True)
	signal.pause()
END
# beside NAME HOOK...: the other's program of this name is attached there; its pid is in $other
beside() {
    local name=$1
    # shellcheck disable=SC2016 # for the shell inside
    bg "$SRV" sh -c 'mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall "$1" /sys/fs/bpf/other && shift &&
        exec python3 "$@"' sh "$TMP/other.o" "$TMP/tcx.py" $SRV_IF "/sys/fs/bpf/other/$name" "${@:2}" \
        >"$TMP/$name.out" 2>"$TMP/$name.err"
    other=$BG_PID
    eventually 20 grep -q . "$TMP/$name.out" "$TMP/$name.err" || die "the other's programs do not start"
    grep -q ready "$TMP/$name.out" || skip "this kernel has no tcx: $(cat "$TMP/$name.err")"
}
beside other_tc 46 47 # BPF_TCX_INGRESS, BPF_TCX_EGRESS

# Its program and its links, as the kernel has them: a link that somebody took off the interface has no interface.
others() {
    cat "/proc/$other/fdinfo"/* | grep -E '^(prog_id|link_id|ifindex):' | sort -u
}

# Nobody listens there: an ICMP message comes back for each, at a rate of its own.
send() { must cli python3 -c 'import socket, sys
for i in range(int(sys.argv[2])): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 9000))' $SRV4 "$1"; }
before=$(others)
is "links and programs of the other" "$(cut -d : -f 1 <<<"$before" | sort | uniq -c | awk '{ print $1, $2 }' | tr '\n' ' ')" "1 ifindex 2 link_id 1 prog_id "

datagrams() { sums "$TMP/flows" 'select(.destination.port == 9000)' | cut -d ' ' -f 1; }
for how in "auto TERM" "tc KILL" "tc TERM" "auto KILL" "auto TERM"; do
    mode=${how% *} signal=${how#* }
    ww__start "$SRV" run -i $SRV_IF --mode "$mode" --jsonl "$TMP/flows"
    holds=$(ww__holds)
    send 50
    ww__stop "$signal"
    is "what the other has after $how" "$(others)" "$before"
    eventually 5 ww__released "$holds" || wrong "after $how this is still loaded: $(ww__left "$holds")"
    [ "$signal" = TERM ] || continue
    is "datagrams, $how" "$(datagrams)" 50
    is "what does not close, $how" "$(ledger "$TMP/flows" '[.lines[] | select(.difference != 0)] | length')" 0
done
srv "$WIREWHO" cleanup >/dev/null
is "what the other has after a cleanup" "$(others)" "$before"

# As XDP does, --mode tc counts what somebody else drops at ingress, no matter who was there first.
beside other_drop 46
ww__start "$SRV" run -i $SRV_IF --mode tc --jsonl "$TMP/flows"
unheard=$(counter "$SRV" $SRV_IF tx_packets)
send 50
is "answers to what is dropped" "$(($(counter "$SRV" $SRV_IF tx_packets) - unheard))" 0
ww__stop
is "datagrams that somebody else drops" "$(datagrams)" 50
exit 0
