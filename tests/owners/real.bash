# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
# Scenarios with other people's programs. Each real__NAME PORT says on stdout whose sockets are whose: see actor.h.

real__list() {
    echo "nginx_curl younger"
    echo "iperf3_tcp younger"
    echo "iperf3_udp younger"
    echo "socat younger"
    echo "python3 younger"
    echo "ping younger"
    echo "vxlan younger"
}

real__need() {
    command -v "$1" >/dev/null || { echo "skip $1 is not installed"; exit 0; }
}

# real__claim SIDE PROTO LOCAL REMOTE PID
real__claim() {
    echo "own $* -"
}

# real__serve NS CMD...: in the background, told to end by real__end; $SERVED is its pid
real__serve() {
    local ns=$1
    shift
    ip netns exec "$ns" "$@" >/dev/null 2>&1 &
    SERVED=$!
    trap real__end EXIT # of the scenario's own shell
}

real__end() {
    { kill "$SERVED"; wait "$SERVED"; } 2>/dev/null
    trap - EXIT
    return 0
}

# real__listens PORT: somebody does, in the server's namespace
real__listens() {
    [ -n "$(ip netns exec "$SRV" ss -Hltn "sport = :$1")" ]
}

# real__call PORT CMD...: in the client's namespace; all that goes to PORT from there is its own
real__call() {
    local port=$1 pid
    shift
    ip netns exec "$CLI" "$@" >&2 &
    pid=$!
    real__claim cli "$PROTO" '*' "$port" "$pid"
    wait "$pid"
}

real__nginx_curl() {
    local dir=$DIR/nginx worker
    real__need nginx
    mkdir -p "$dir"
    chmod 755 "$TMP" "$DIR" "$dir"
    head -c 100000 /dev/zero >"$dir/file"
    printf '%s\n' "daemon off; user www-data; worker_processes 1; pid $dir/pid; error_log $dir/error.log;" \
        'events { }' "http { access_log off; server { listen $1; root $dir; } }" >"$dir/conf"
    real__serve "$SRV" nginx -p "$dir" -e "$dir/error.log" -c "$dir/conf"
    eventually 20 real__listens "$1" || return 1
    eventually 20 pgrep -P "$SERVED" >/dev/null || return 1
    worker=$(pgrep -P "$SERVED")
    real__claim srv tcp "$1" '*' "$worker"
    echo "listens srv tcp $1 * $SERVED"
    for ((i = 0; i < 15; i++)); do
        PROTO=tcp real__call "$1" curl -fsS -o /dev/null "http://$SRV4:$1/file" || return 1
    done
    real__end
}

# real__patiently CMD...: while the server still tidies up after the last one, it refuses others
real__patiently() {
    local i
    for ((i = 0; i < 20; i++)); do
        sleep 0.5
        "$@" && return
    done
    return 1
}

real__iperf3_tcp() {
    real__need iperf3
    real__serve "$SRV" iperf3 -s -p "$1"
    eventually 20 real__listens "$1" || return 1
    real__claim srv tcp "$1" '*' "$SERVED"
    PROTO=tcp real__call "$1" iperf3 -c "$SRV4" -p "$1" -n 20M || return 1
    PROTO=tcp
    real__patiently real__call "$1" iperf3 -c "$SRV4" -p "$1" -n 20M -R || return 1
    real__end
}

real__iperf3_udp() {
    real__need iperf3
    real__serve "$SRV" iperf3 -s -p "$1"
    eventually 20 real__listens "$1" || return 1
    real__claim srv tcp "$1" '*' "$SERVED"
    real__claim srv udp "$1" '*' "$SERVED"
    ip netns exec "$CLI" iperf3 -c "$SRV4" -p "$1" -u -b 100M -t 1 -P 2 >&2 &
    real__claim cli tcp '*' "$1" $!
    real__claim cli udp '*' "$1" $!
    wait $! || return 1
    real__end
}

# A process for each connection, which inherits it.
real__socat() {
    real__need socat
    real__serve "$SRV" socat "TCP-LISTEN:$1,reuseaddr" EXEC:cat
    eventually 20 real__listens "$1" || return 1
    real__claim srv tcp "$1" '*' "$SERVED"
    PROTO=tcp real__call "$1" socat -u OPEN:"$WW_ROOT/README.md" "TCP:$SRV4:$1" || return 1
    real__end
}

real__python3() {
    real__need python3
    real__serve "$SRV" python3 -m http.server -d "$WW_ROOT/xdp" "$1"
    eventually 20 real__listens "$1" || return 1
    real__claim srv tcp "$1" '*' "$SERVED"
    for ((i = 0; i < 3; i++)); do
        PROTO=tcp real__call "$1" curl -fsS -o /dev/null "http://$SRV4:$1/table.h" || return 1
    done
    real__end
}

real__ping() {
    real__need ping
    echo "uncounted ICMP is counted without an owner"
    ip netns exec "$CLI" ping -q -c 5 -i 0.05 "$SRV4" >/dev/null &&
        ip netns exec "$CLI" ping -q -c 5 -i 0.05 "$SRV6" >/dev/null
}

# What goes through a tunnel is the kernel's outside, whoever sends it inside.
real__vxlan() {
    local end ns dev far number
    real__need socat
    for end in "$SRV:$SRV_IF:$CLI4:1" "$CLI:$CLI_IF:$SRV4:2"; do
        IFS=: read -r ns dev far number <<<"$end"
        ip -n "$ns" link add ww-tunnel type vxlan id 7 remote "$far" dstport "$1" dev "$dev" 2>/dev/null ||
            { echo "skip this kernel has no VXLAN"; exit 0; }
        ip -n "$ns" link set ww-tunnel addrgenmode none
        ip -n "$ns" address add "10.66.0.$number/24" dev ww-tunnel
        ip -n "$ns" link set ww-tunnel up
    done
    for end in srv cli; do
        real__claim $end udp "$1" '*' 0
        real__claim $end udp '*' "$1" 0
    done
    real__serve "$SRV" socat -u "TCP-LISTEN:$1,reuseaddr" OPEN:/dev/null
    eventually 20 real__listens "$1" || return 1
    ip netns exec "$CLI" socat -u OPEN:/dev/zero,readbytes=10000000 "TCP:10.66.0.1:$1" >&2 || return 1
    real__end
    for ns in "$SRV" "$CLI"; do
        ip -n "$ns" link del ww-tunnel
    done
}
