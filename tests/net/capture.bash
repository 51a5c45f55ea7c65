# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the tests of `wirewho capture` share. Source it after lib.sh.
#
#     cap__pair [QUEUES]    $SRV and $CLI, joined by a veth; $SRV_IF has no address, so that it can be tapped
#     cap__start ARG...     captures on $SRV_IF into $CAP_FILE, in the background; what it says is in $CAP_ERR
#     cap__end [SIGNAL]     ends it and waits: $CAP_CODE; then the summary must add up
#     cap__send COUNT ...   numbered frames from the client; cap__check COUNT ... looks at the file
# shellcheck disable=SC2034 # used by those who source this

CAP_FILE=$TMP/capture.pcapng
CAP_ERR=$TMP/capture.err
NUMBERED=$WW_ROOT/tests/net/numbered.py

cap__pair() {
    need_root
    need python3 tcpdump capinfos
    net__ns "$SRV"
    net__ns "$CLI"
    net__veth "$SRV" "$SRV_IF" "$CLI" "$CLI_IF" "${1:-1}"
    must ip -n "$SRV" link set "$SRV_IF" up
    must ip -n "$CLI" link set "$CLI_IF" up
    net__wait "$SRV" "$SRV_IF" "$CLI" "$CLI_IF"
}

cap__began() {
    grep -q '^wirewho: capturing' "$CAP_ERR" || ! kill -0 "$CAP_PID" 2>/dev/null
}

cap__start() {
    rm -f "$CAP_FILE"
    bg "$SRV" "$WIREWHO" capture -i "$SRV_IF" -w "$CAP_FILE" "$@" 2>"$CAP_ERR"
    CAP_PID=$BG_PID
    eventually 20 cap__began || die "wirewho does not begin to capture: $(cat "$CAP_ERR")"
    kill -0 "$CAP_PID" 2>/dev/null || die "wirewho ended at once: $(cat "$CAP_ERR")"
}

cap__wait() {
    { wait "$CAP_PID"; CAP_CODE=$?; } 2>/dev/null
    cap__adds_up "$CAP_ERR"
    is "what is left on $SRV_IF" "$(srv bpftool -j net show dev $SRV_IF | jq -c '[.[].xdp[]]')" '[]'
}

cap__end() {
    kill -"${1:-TERM}" "$CAP_PID" 2>/dev/null || wrong "the capture had ended before: $(cat "$CAP_ERR")"
    cap__wait
    is "the capture's exit code" "$CAP_CODE" 0
}

# Every equation of the summary holds, nothing is unexplained, and the file holds what was written.
cap__adds_up() {
    local said
    said=$(python3 - "$1" <<-'END'
	import re, sys
	lines = [l for l in open(sys.argv[1]) if re.search(r"\d+ \w+ = \d+ ", l)]
	if len(lines) < 3:
	    print("there is no summary")
	for line in lines:
	    for part in line.split(": ")[-1].split(";"):
	        left, right = part.split("=")
	        terms = [int(n) for n in re.findall(r"(-?\d+) \w+", right)]
	        if int(left.split()[0]) != sum(terms):
	            print("does not add up:", part.strip())
	        if re.search(r"[1-9]\d* unexplained", right):
	            print("unexplained:", part.strip())
	END
    )
    is "what is wrong with the summary" "$said" ""
    [ -z "$said" ] || cat "$1" >&2
}

# cap__number NAME: one of the summary's numbers on the right side; where each interface has one, their sum
cap__number() {
    sed -n "s/.*[=+] \([0-9]*\) $1\b.*/\1/p" "$CAP_ERR" | awk '{ sum += $1 } END { print sum + 0 }'
}

cap__packets() {
    capinfos -c -M "$CAP_FILE" 2>/dev/null | sed -n 's/^Number of packets: *//p'
}

# The queues that packets of the file came from, each once.
cap__queues() {
    python3 - "$CAP_FILE" <<-'END'
	import struct, sys
	data, at, queues = open(sys.argv[1], "rb").read(), 0, set()
	while at < len(data):
	    kind, size = struct.unpack_from("<II", data, at)
	    if kind == 6:
	        caplen, = struct.unpack_from("<I", data, at + 20)
	        code, length, queue = struct.unpack_from("<HHI", data, at + 28 + (caplen + 3) // 4 * 4)
	        if (code, length) == (6, 4):
	            queues.add(queue)
	    at += size
	print(*sorted(queues))
	END
}

cap__send() {
    must cli python3 "$NUMBERED" send "$CLI_IF" "$@"
}

# The file as libpcap reads it, against what was sent.
cap__check() {
    local said
    said=$(tcpdump -r "$CAP_FILE" --time-stamp-precision=nano -w - 2>"$TMP/tcpdump.err" |
        python3 "$NUMBERED" check - "$@")
    is "what is wrong with the file" "$said" ""
    is "what tcpdump complains of" "$(grep -v '^reading from' "$TMP/tcpdump.err")" ""
    is "packets in the file, as capinfos counts" "$(cap__packets)" "$(cap__number written)"
}
