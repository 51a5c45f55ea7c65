#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Somebody else's tcx programs on the same interface stay, whatever becomes of us, and what passes them is counted once.
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
	links = [bpf(28, struct.pack("<IIII", program, socket.if_nametoindex(sys.argv[1]), hook, 0)) for hook in (46, 47)]
	print("ready", flush=True)
	signal.pause()
END
# shellcheck disable=SC2016 # for the shell inside
bg "$SRV" sh -c 'mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall "$1" /sys/fs/bpf/other &&
    exec python3 "$2" "$3" /sys/fs/bpf/other/other_tc' sh "$TMP/other.o" "$TMP/tcx.py" $SRV_IF >"$TMP/other.out" 2>"$TMP/other.err"
other=$BG_PID
eventually 20 grep -q . "$TMP/other.out" "$TMP/other.err" || die "the other's programs do not start"
grep -q ready "$TMP/other.out" || skip "this kernel has no tcx: $(cat "$TMP/other.err")"

# Its program and its links, as the kernel has them: a link that somebody took off the interface has no interface.
others() {
    cat "/proc/$other/fdinfo"/* | grep -E '^(prog_id|link_id|ifindex):' | sort -u
}

# Nobody listens there: an ICMP message comes back for each, at a rate of its own.
send() { must cli python3 -c 'import socket, sys
for i in range(int(sys.argv[2])): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (sys.argv[1], 9000))' $SRV4 "$1"; }
before=$(others)
is "links and programs of the other" "$(cut -d : -f 1 <<<"$before" | sort | uniq -c | awk '{ print $1, $2 }' | tr '\n' ' ')" "1 ifindex 2 link_id 1 prog_id "

for signal in TERM KILL TERM; do
    ww__start "$SRV" run -i $SRV_IF --jsonl "$TMP/flows"
    send 50
    ww__stop $signal
    is "what the other has after a SIG$signal" "$(others)" "$before"
    [ $signal = TERM ] || continue
    is "datagrams" "$(sums "$TMP/flows" 'select(.destination.port == 9000)' | cut -d ' ' -f 1)" 50
    is "what does not close" "$(ledger "$TMP/flows" '[.lines[] | select(.difference != 0)] | length')" 0
done
srv "$WIREWHO" cleanup >/dev/null
is "what the other has after a cleanup" "$(others)" "$before"
exit 0
