#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 400
# A capture that names the process of every packet: nginx under load, copied on its way; read by tshark, tcpdump, capinfos
# and by `wirewho read`. Then what is left out by owner, and by what only libpcap can select.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/capture.bash"

need tshark capinfos tcpdump jq wrk
net__pair
NGINX_LISTEN=reuseport # so that both workers get connections
nginx__start "$SRV" 2
workers=$(nginx__workers | tr '\n' ' ')
list() { echo "$*" | tr ' ' ','; }

load() {
    wrk__run "$CLI" "${1:-1}" 16 "http://$SRV4/small"
    wrk__run "$CLI" "${1:-1}" 16 "http://[$SRV6]/small"
}

# field FILE NAME...: of each IP packet
field() {
    local file=$1
    shift
    tshark -r "$file" -Y 'ip or ipv6' -T fields "${@/#/-e}" 2>"$TMP/tshark.err"
    lacks "what tshark says" "$(cat "$TMP/tshark.err")" damaged
}

# share PATTERN: of the lines on standard input, how many per cent match
share() {
    awk -v pattern="$1" '{ all++ } $0 ~ pattern { some++ } END { printf "%.3f", all ? 100 * some / all : 0 }'
}

workers_comment="^pid=($(echo $workers | tr ' ' '|')) comm=nginx user=www-data how="

# ---- every packet of a load

cap__start --sample copy --ring 16Mi -s 0 'tcp port 80'
load
cap__end
at_least "packets in the file" "$(cap__number written)" 5000
is "packets in the file, as capinfos counts" "$(cap__packets)" "$(cap__number written)"
is "what capinfos complains of" "$(capinfos "$CAP_FILE" 2>&1 >/dev/null)" ""
is "what tcpdump complains of" "$(tcpdump -nr "$CAP_FILE" 2>&1 >/dev/null | grep -v '^reading from')" ""
field "$CAP_FILE" frame.comment >"$TMP/comments"
is "packets that tshark sees" "$(wc -l <"$TMP/comments")" "$(cap__number written)"
at_least "per cent of packets that are an nginx worker's" "$(share "$workers_comment" <"$TMP/comments")" 99.9
at_least "per cent of packets whose worker is known exactly" "$(share 'how=exact' <"$TMP/comments")" 99
is "workers that were seen" "$(cut -d ' ' -f 1 "$TMP/comments" | grep -c . >/dev/null; cut -d ' ' -f 1 "$TMP/comments" |
    grep . | sort -u | wc -l)" 2
is "directions and queues" "$(field "$CAP_FILE" frame.packet_flags_direction frame.interface_queue | sort -u)" "$(printf '0x00000001\t0')"
is "verdicts, when not asked for" "$(field "$CAP_FILE" frame.verdict.ebpf_xdp | sort -u)" ""

# The process block and the packet's pid, which this tshark does not show: as the file has them.
cat >"$TMP/blocks.py" <<'END'
import struct, sys
data, at, processes, wrong, packets = open(sys.argv[1], "rb").read(), 0, {}, 0, 0
workers = {int(w) for w in sys.argv[2:]}
def options(part):
    found, i = {}, 0
    while i + 4 <= len(part):
        code, n = struct.unpack_from("<HH", part, i)
        if not code:
            break
        found.setdefault(code, part[i + 4:i + 4 + n])
        i += 4 + (n + 3 & ~3)
    return found
while at < len(data):
    kind, size = struct.unpack_from("<II", data, at)
    body = data[at + 8:at + size - 4]
    if kind == 0xBAD and struct.unpack_from("<II", body) == (32622, 3):
        length, pid = struct.unpack_from("<II", body, 8)
        processes[pid] = options(body[16:12 + length])
    if kind == 6:
        packets += 1
        caplen, = struct.unpack_from("<I", body, 12)
        pid = struct.unpack("<II", options(body[20 + (caplen + 3 & ~3):]).get(8, bytes(8)))
        wrong += pid[0] not in processes or pid[0] not in workers
    at += size
names = {p.get(2) for pid, p in processes.items() if pid in workers}
users = {p.get(7) for pid, p in processes.items() if pid in workers}
exes = {p.get(3, b"").rsplit(b"/", 1)[-1] for pid, p in processes.items() if pid in workers}
print(names, users, exes, "few" if wrong * 1000 <= packets else wrong)
END
is "process blocks, and packets without" "$(python3 "$TMP/blocks.py" "$CAP_FILE" $workers)" \
    "{b'nginx'} {b'www-data'} {b'nginx'} few"

# ---- read back

must "$WIREWHO" read "$CAP_FILE" --jsonl "$TMP/read"
is "packets read" "$(ledger "$TMP/read" '.lines[0].seen.packets')" "$(cap__number written)"
# by_pid JQ-INPUTS: "pid packets" a line
jq -r 'select(.event.kind == "metric") | "\(.process.pid) \(.source.packets + .destination.packets)"' "$TMP/read" |
    awk '{ sum[$1] += $2 } END { for (p in sum) print p, sum[p] }' | sort >"$TMP/read.pids"
sed -n 's/^pid=\([0-9]*\) .*/\1/p; s/^$/null/p' "$TMP/comments" | sort | uniq -c | awk '{ print $2, $1 }' | sort >"$TMP/comment.pids"
is "owners that read gives" "$(cat "$TMP/read.pids")" "$(cat "$TMP/comment.pids")"
is "the end that is local" "$(jq -r 'select(.process.pid) | .wirewho.local' "$TMP/read" | sort -u)" destination
is "names and users that read gives" "$(jq -r 'select(.process.pid) | .process.name + " " + .user.name' "$TMP/read" |
    sort -u)" "nginx www-data"
contains "the table of read" "$("$WIREWHO" read "$CAP_FILE" 2>/dev/null | head -n 3)" "nginx"

# ---- a connection for each request: closed before anybody asks whose it was

cap__start --sample copy --ring 16Mi 'tcp port 80'
must cli wrk -t 1 -c 4 -d 1 -H 'Connection: close' "http://$SRV4/small" >"$TMP/wrk"
cap__end
at_least "packets of short connections" "$(cap__number written)" 2000
at_least "per cent of them that are an nginx worker's" "$(field "$CAP_FILE" frame.comment | share "$workers_comment")" 99.9

# ---- without comments: by the format's own fields

cap__start --sample copy --ring 16Mi --no-comments --verdict 'tcp port 80'
load 1
cap__end
field "$CAP_FILE" frame.comment frame.verdict.ebpf_xdp | sort -u >"$TMP/verdicts"
is "comments and verdicts" "$(cat "$TMP/verdicts")" "$(printf '\t2')"
"$WIREWHO" read "$CAP_FILE" --jsonl - | jq -r 'select(.process.pid) | "\(.process.pid)"' | sort -u >"$TMP/pids"
is "owners that read gives without comments" "$(tr '\n' ' ' <"$TMP/pids")" "$(echo $workers | tr ' ' '\n' | sort | tr '\n' ' ')"

# ---- without owners

cap__start --sample copy --ring 16Mi --no-owners 'tcp port 80'
load 1
cap__end
is "comments with --no-owners" "$(field "$CAP_FILE" frame.comment | sort -u)" ""

# ---- by owner

one=${workers%% *}
cap__start --sample copy --ring 16Mi --pid "$one" --comm nginx 'tcp port 80'
load
cap__end
is "owners with --pid" "$(field "$CAP_FILE" frame.comment | cut -d ' ' -f 1 | sort -u)" "pid=$one"
at_least "filtered with --pid" "$(cap__number filtered)" 1
cap__start --sample copy --ring 16Mi --user root 'tcp port 80'
load 1
cap__end
is "packets with --user of somebody else" "$(cap__number written)" 0
at_least "filtered with --user" "$(cap__number filtered)" 100

# ---- by what only libpcap knows

cap__start --sample copy --ring 16Mi 'tcp port 80 and tcp[tcpflags] & tcp-syn != 0'
for _ in 1 2 3 4 5; do
    must cli curl -fsS -o /dev/null "http://$SRV4/small"
done
cap__end
is "flags with a pcap-filter" "$(field "$CAP_FILE" tcp.flags.syn | sort -u)" 1
is "packets with a pcap-filter" "$(cap__number written)" 5
at_least "filtered with a pcap-filter" "$(cap__number filtered)" 15
contains "what it says of the pcap-filter" "$(cat "$CAP_ERR")" "the program in the kernel cannot select"
