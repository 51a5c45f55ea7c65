#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# `wirewho read` on what is no capture, or no longer a whole one, and on outputs that cannot be written: the right exit
# code, one clear line, and what could be read is still counted.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

W=${WIREWHO:-$PWD/wirewho}
D=$(mktemp -d) || exit 1
trap 'rm -rf "$D"' EXIT
failed=0 lines=1

# 3000 flows of one packet, as pcap and as pcapng; then what can become of a file.
python3 - "$D" <<'END'
import random, struct, sys
top = sys.argv[1] + "/"
def frame(i):
    ip = struct.pack(">BBHHHBBH4sI", 0x45, 0, 28, 0, 0, 64, 17, 0, b"\x0a\0\0\1", 0x0A010000 + i)
    return bytes(12) + b"\x08\x00" + ip + struct.pack(">HHHH", 1000, 53, 8, 0) + b"xx"
def block(kind, body):
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)
def packet(i):
    data = frame(i)
    return block(6, struct.pack("<IIIII", 0, 0, i, len(data), len(data)) + data + bytes(-len(data) % 4))
pcap = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
pcap += b"".join(struct.pack("<IIII", i, 0, 44, 44) + frame(i) for i in range(3000))
head = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 65535))
ng = head + b"".join(packet(i) for i in range(3000))
def write(name, data):
    with open(top + name, "wb") as out:
        out.write(data)
write("good.pcap", pcap)
write("good.pcapng", ng)
write("empty", b"")
write("short-magic", pcap[:3])
write("short-header", pcap[:20])
write("cut-in-header.pcap", pcap[: 24 + 60 * 10 + 7])
write("cut-in-packet.pcap", pcap[: 24 + 60 * 10 + 30])
write("length-of-4G.pcap", pcap[: 24 + 60 * 10] + struct.pack("<IIII", 1, 0, 0xFFFFFFFF, 44) + frame(1))
write("short-section.pcapng", head[:20])
write("cut-in-block.pcapng", head + packet(1) * 10 + packet(2)[:30])
write("cut-in-length.pcapng", head + packet(1) * 10 + packet(2)[:6])
write("wrong-length.pcapng", head + packet(1) * 10 + packet(2)[:-4] + b"\xff\xff\xff\x7f")
write("long-packet.pcapng", head + packet(1) * 10 + block(6, struct.pack("<IIIII", 0, 0, 1, 1 << 30, 44) + frame(1)))
write("no-interface.pcapng", head[:28] + packet(1))
write("other-interface.pcapng", head + packet(1) * 10 + block(6, struct.pack("<IIIII", 7, 0, 1, 44, 44) + frame(1)))
for i in range(8):
    write(f"random-{i}", random.Random(i).randbytes(4000))
END

# bad NAME CODE PATTERN COMMAND...: the command ends with CODE and says `lines` lines; one of them holds PATTERN.
bad() {
    local name=$1 code=$2 pattern=$3 got said
    shift 3
    "$@" >"$D/out" 2>"$D/err"
    got=$?
    said=$(grep -c '^wirewho: ' "$D/err")
    if [ "$got" -eq "$code" ] && [ "$said" -eq "$lines" ] &&
        { [ -z "$pattern" ] || grep -q -- "$pattern" "$D/err"; }; then
        echo "ok $name"
    else
        failed=$((failed + 1))
        echo "not ok $name: exit code $got (not $code), $said lines (not $lines), wanted '$pattern' in:"
        sed 's/^/    /' "$D/err"
    fi
}

# counted N: the ledger of what ran last has N packets.
counted() {
    tail -n 1 "$D/out" | grep -q "\"seen\":{\"packets\":$1," && return
    failed=$((failed + 1))
    echo "not ok: not $1 packets in the ledger: $(tail -n 1 "$D/out" | cut -c 1-300)"
}

closed() { "$@" >&-; }
full() { "$@" >/dev/full; }
no_stdin() { "$@" <&-; }
one_line() {
    "$@" | head -n 1 >/dev/null
    return "${PIPESTATUS[0]}"
}

bad missing 1 'read .*/none: No such file' "$W" read "$D/none"
bad directory 1 'directory' "$W" read "$D"
bad no-stdin 1 'Bad file descriptor' no_stdin "$W" read -
for name in empty short-magic short-header short-section.pcapng no-interface.pcapng random-{0..7}; do
    bad "$name" 1 "read $D/$name: " "$W" read --jsonl - "$D/$name"
done
for name in cut-in-header.pcap cut-in-packet.pcap length-of-4G.pcap cut-in-block.pcapng cut-in-length.pcapng \
    wrong-length.pcapng long-packet.pcapng other-interface.pcapng; do
    bad "$name" 1 'the 10 packets before it are counted' "$W" read --jsonl - "$D/$name"
    counted 10
    bad "$name, as a table" 1 'the 10 packets before it are counted' "$W" read "$D/$name"
done

for name in good.pcap good.pcapng; do
    lines=0 bad "$name" 0 '' "$W" read --jsonl - "$D/$name"
    counted 3000
    bad "$name, full disk" 1 'No space left on device' full "$W" read --jsonl - "$D/$name"
    bad "$name, full disk, known when it is closed" 1 'No space left' full "$W" read --jsonl - "$D/$name" tcp
    bad "$name, full disk, as a table" 1 'No space left on device' full "$W" read "$D/$name"
    bad "$name, to /dev/full" 1 'write to /dev/full: No space' "$W" read --jsonl /dev/full "$D/$name"
    bad "$name, closed stdout" 1 'write .*standard output: Bad file' closed "$W" read --jsonl - "$D/$name"
    bad "$name, closed stdout, as a table" 1 'write .*standard output: Bad file' closed "$W" read "$D/$name"
    bad "$name, reader that goes away" 1 'standard output: Broken pipe' one_line "$W" read --jsonl - "$D/$name"
    bad "$name, reader that goes away, as a table" 1 'standard output: Broken pipe' one_line "$W" read "$D/$name"
    bad "$name, no such folder" 1 "$D/none/x: No such file" "$W" read --jsonl "$D/none/x" "$D/$name"
done
printf x | cat "$D/good.pcap" - | lines=1 bad "rest on stdin" 1 'the 3000 packets before it' "$W" read --jsonl - -
counted 3000

bad 'trace: nothing said' 2 'trace what' "$W" trace
bad 'trace: unknown' 2 "called 'what'" "$W" trace what
for tracer in exec syscalls; do
    bad "trace $tracer: unknown option" 2 '--help' "$W" trace $tracer --what
    bad "trace $tracer: pid 0" 2 "pid '0'" "$W" trace $tracer -p 0
    bad "trace $tracer: pid with a letter" 2 "pid '1x'" "$W" trace $tracer -p 1x
    bad "trace $tracer: no such user" 2 'no user of that name' "$W" trace $tracer -u no-such-user
    bad "trace $tracer: user out of range" 2 "user '4294967295'" "$W" trace $tracer -u 4294967295
    bad "trace $tracer: name too long" 2 '1 to 15 bytes' "$W" trace $tracer --comm 0123456789abcdef
    bad "trace $tracer: empty name" 2 '1 to 15 bytes' "$W" trace $tracer --comm ''
    bad "trace $tracer: relative cgroup" 2 'begins with /' "$W" trace $tracer --cgroup system.slice
    bad "trace $tracer: interval 0" 2 "interval '0'" "$W" trace $tracer 0
    bad "trace $tracer: negative interval" 2 'unknown option' "$W" trace $tracer -1
    bad "trace $tracer: count 0" 2 "count '0'" "$W" trace $tracer 1 0
    bad "trace $tracer: three numbers" 2 "got '3' too" "$W" trace $tracer 1 2 3
    bad "trace $tracer: by what" 2 'is not one of' "$W" trace $tracer --by moon
    bad "trace $tracer: output that cannot be" 1 "$D/none/x: No such file" "$W" trace $tracer --jsonl "$D/none/x"
done
bad 'trace syscalls: two kinds of tables' 2 'exclude each other' "$W" trace syscalls --errors --latency
bad 'trace syscalls: top 0' 2 "top '0'" "$W" trace syscalls --top 0

bad 'no file' 2 'which capture' "$W" read
bad 'unknown option' 2 '--help' "$W" read --what "$D/good.pcap"
lines=3
# The caret stands under the wrong word: behind "wirewho:   " and the offset.
for case in '9:tcp port http' '0:' '7:not tcp)' '7:tcp and' '13:tcp and not (' '5:port 65536' '10:portrange 9-1' \
    '4:net 10.1.2.3/8' '5:vlan 4096' '4:tcp & udp' '4:tcp udp'; do
    bad "expression '${case#*:}'" 2 "^wirewho:   $(printf "%${case%%:*}s" '')^\$" "$W" read "$D/good.pcap" "${case#*:}"
done
bad 'expression in --match' 2 '^wirewho:   ^$' "$W" read "$D/good.pcap" --match xyz
bad 'control bytes in an expression' 2 '^wirewho:   tcp ??\[2J$' "$W" read "$D/good.pcap" $'tcp \x1b\xff[2J'

[ "$failed" -eq 0 ]
