#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 90
# What `trace tcp` and `trace udp` leave out when they are asked to: kinds of lines, ports, and whom.
. "$(dirname "$0")/lib.sh"

net__pair
nginx__start "$SRV" 1

# cookie NS: which namespace a record is of (SO_NETNS_COOKIE); other tests may be at work on this host
cookie() { ip netns exec "$1" python3 -c 'import socket; print(int.from_bytes(socket.socket().getsockopt(1, 71, 8), "little"))'; }
OURS="$(cookie "$SRV"),$(cookie "$CLI")"

# told ARG...: runs `trace tcp` with these options under the same load; $TMP/told has the records but the last
told() {
    ww__start "$CLI" trace tcp "$@" --jsonl "$TMP/all"
    must cli curl -fsS -o /dev/null "http://$SRV4/small"
    cli curl -fsS -o /dev/null "http://$SRV4:81/" 2>/dev/null && wrong "somebody listens on port 81"
    must cli sh -c "exec curl -fsS -o /dev/null 'http://[$SRV6]/small'"
    sleep 0.3
    ww__stop
    is "$*: every line parses, and the last one is the end" "$(tail -n 1 "$TMP/all" | jq -r .event.kind)" state
    jq -c "select(.event.kind == \"event\" and (.wirewho.netns | IN($OURS)))" "$TMP/all" >"$TMP/told"
}
# lines: "action, old state, new state, who, port" of them, sorted
lines() {
    jq -r '[.event.action, .wirewho.tcp.old_state, .wirewho.tcp.new_state // "-", .process.name, .destination.port] | map(tostring) | join(" ")' \
        "$TMP/told" | sort | uniq -c | sed 's/^ *//'
}
told --connect
is "--connect" "$(lines)" "1 tcp-state SYN_SENT CLOSE curl 81
2 tcp-state SYN_SENT ESTABLISHED curl 80"
is "--connect: why it failed" "$(jq -r 'select(.destination.port == 81) | .wirewho.tcp.error' "$TMP/told")" ECONNREFUSED
told --accept
is "--accept" "$(lines)" "2 tcp-state SYN_RECV ESTABLISHED nginx 80"
is "--accept: how the owner is known" "$(jq -r .wirewho.attribution "$TMP/told" | sort -u)" listener
told --close --comm curl
is "--close --comm curl" "$(jq -r '.event.action + " " + .process.name' "$TMP/told" | sort | uniq -c | sed 's/^ *//')" "3 tcp-close curl"
told --connect --port 81
is "--connect --port 81" "$(lines)" "1 tcp-state SYN_SENT CLOSE curl 81"
told --close -p "$(nginx__workers)"
is "--close -p, the worker" "$(jq -r '.event.action + " " + .process.name + " " + .user.name' "$TMP/told" | sort | uniq -c | sed 's/^ *//')" \
    "2 tcp-close nginx www-data"
told --close -u www-data
is "--close -u www-data" "$(jq -r .process.name "$TMP/told" | sort | uniq -c | sed 's/^ *//')" "2 nginx"

# by cgroup: of the owner, wherever the packet is taken in; one in a group below is meant too
root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
# inside GROUP CMD...: in that cgroup, and in the client's namespace
inside() {
    local group=$1
    shift
    # shellcheck disable=SC2016 # for the shell inside
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" ip netns exec "$CLI" "$@"
}
# groups ARG...: runs `trace ARG...`, a connection and a datagram from each of: outside, the group, the one below
groups() {
    local what=$1 group
    shift
    ww__start "$CLI" trace "$what" --cgroup "/$WW" "$@" --jsonl "$TMP/all"
    for group in "$root" "$root/$WW" "$root/$WW/below"; do
        inside "$group" curl -fsS -o /dev/null "http://$SRV4/small" || wrong "curl in $group failed"
        inside "$group" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'12345', ('$SRV4', 6099))" || wrong "python3 in $group failed"
    done
    sleep 0.3
    ww__stop
    jq -c "select(.event.kind == \"event\" and (.wirewho.netns | IN($OURS)))" "$TMP/all" >"$TMP/told"
    is "trace $what --cgroup: events, all of them told" "$(tail -n 1 "$TMP/all" | jq .wirewho.trace.events)" \
        "$(jq -c 'select(.event.kind == "event")' "$TMP/all" | wc -l)"
}
if [ -n "$root" ] && mkdir "$root/$WW" "$root/$WW/below" 2>/dev/null; then
    groups tcp --connect
    is "--cgroup, connections" "$(lines)" "2 tcp-state SYN_SENT ESTABLISHED curl 80"
    groups udp
    is "--cgroup, datagrams" "$(jq -r '[.process.name, .wirewho.udp.sent.packets, .destination.port] | map(tostring) | join(" ")' \
        "$TMP/told" | sort | uniq -c | sed 's/^ *//')" "2 python3 1 6099"
    # a server that is older than the run, and is moved there: its connections, from the SYN on
    for pid in $NGINX_PID $(nginx__workers); do
        echo "$pid" >"$root/$WW/below/cgroup.procs"
    done
    groups tcp --states --port 80
    is "--cgroup, the server's" "$(jq -r 'select(.process.name == "nginx") | .wirewho.tcp | .old_state + " " + .new_state' "$TMP/told" |
        sort | uniq -c | sed 's/^ *//')" "3 CLOSE_WAIT LAST_ACK
3 ESTABLISHED CLOSE_WAIT
3 LAST_ACK CLOSE
3 LISTEN SYN_RECV
3 SYN_RECV ESTABLISHED"
    is "--cgroup, the clients' states" "$(jq -r 'select(.process.name == "curl") | .wirewho.tcp.new_state' "$TMP/told" |
        sort | uniq -c | grep -c '^ *2 ')" 5
    # once the server is elsewhere, so are its connections
    for pid in $NGINX_PID $(nginx__workers); do
        echo "$pid" >"$root/cgroup.procs"
    done
    groups tcp --states --port 80
    is "--cgroup, after it was moved away" "$(jq -r .process.name "$TMP/told" | sort -u)" curl
    eventually 5 rmdir "$root/$WW/below" "$root/$WW" 2>/dev/null || wrong "the cgroups are left"
else
    echo "no cgroup can be made here: --cgroup is not tried"
fi

# wrong usage
for wrong in "--port 0" "--port x" "--cgroup relative" "-p 0" "1 2 3"; do
    # shellcheck disable=SC2086 # words
    "$WIREWHO" trace tcp $wrong >"$TMP/out" 2>&1
    is "the exit code of trace tcp $wrong" $? 2
    is "what it says: lines" "$(wc -l <"$TMP/out")" 1
done
