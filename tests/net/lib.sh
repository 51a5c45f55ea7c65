# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# What the tests in network namespaces share. Source it first:
#
#     . "$(dirname "$0")/lib.sh"
#
# Assertions say what they compared and let the test go on; it then ends with exit code 1. `die` ends it at once, and
# `skip` ends it with 77 and the reason. Whatever a test started, made or wrote is gone when it ends, however it ends.
#
#     net__pair           $SRV and $CLI, joined by a veth: $SRV_IF 10.77.0.1 fd77::1, $CLI_IF 10.77.0.2 fd77::2
#     net__path           $SRV - $RTR - $CLI, with a router between: 10.77.1.1 fd77:1::1 and 10.77.2.2 fd77:2::2
#     srv, cli, rtr CMD   runs a command in that namespace; `bg NS CMD` in the background, its pid in $BG_PID
#
# The namespaces' names start with $WW, which is the test's own.
set -u

WW_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WIREWHO=${WIREWHO:-$WW_ROOT/wirewho}
export WW_PREFIX=${WW_PREFIX:-ww-$$} # in the environment of all that a test starts: the runner knows us by it
WW=$WW_PREFIX-$$
SRV=$WW-s CLI=$WW-c RTR=$WW-r
WW_MORE=() # namespaces that a test makes itself
SRV_IF=ww-srv CLI_IF=ww-cli
SRV4=10.77.0.1 CLI4=10.77.0.2 SRV6=fd77::1 CLI6=fd77::2
TMP=$(mktemp -d "${TMPDIR:-/tmp}/$WW.XXXXXX")
WW_FAILED=0
WW_PIDS=()
WW_LOOK=0.1
[ -z "${WW_GUEST-}" ] || WW_LOOK=0.3
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C.UTF-8
export PATH LC_ALL

# ---------------------------------------------------------------------------------------------------- how tests end

die() {
    echo "FAILED: $*" >&2
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

# must CMD...: without it the test makes no sense.
must() {
    "$@" || die "could not run: $*"
}

# built__make FILE...: brought up to date, but for a guest's: what is there was built before it was started
built__make() {
    [ -n "${WW_GUEST-}" ] || must make -s -C "$WW_ROOT" OUT=.build "$@"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root: network namespaces are made"
    unshare --net true 2>/dev/null || skip "this host lets nobody make network namespaces"
}

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

# Kills what runs in our own namespaces, and nothing else.
net__kill() {
    local ns pids
    for ns in "$SRV" "$CLI" "$RTR" ${WW_MORE[@]+"${WW_MORE[@]}"}; do
        [ -e "/run/netns/$ns" ] || continue
        while pids=$(ip netns pids "$ns" 2>/dev/null); [ -n "$pids" ]; do
            # shellcheck disable=SC2086 # a list of pids
            kill -KILL $pids 2>/dev/null
            sleep 0.1
        done
    done
}

net__cleanup() {
    local code=$? pid ns
    trap - EXIT
    for pid in ${WW_PIDS[@]+"${WW_PIDS[@]}"}; do
        { kill -KILL "$pid" && wait "$pid"; } 2>/dev/null
    done
    net__kill
    for ns in "$SRV" "$CLI" "$RTR" ${WW_MORE[@]+"${WW_MORE[@]}"}; do
        [ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
    done
    rm -rf "$TMP"
    [ "$code" -eq 0 ] && [ "$WW_FAILED" -ne 0 ] && code=1
    exit "$code"
}
trap net__cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ------------------------------------------------------------------------------------------------------- assertions

wrong() {
    WW_FAILED=$((WW_FAILED + 1))
    echo "WRONG: $*" >&2
}

# is WHAT GOT WANTED
is() {
    [ "$2" = "$3" ] || wrong "$1 is '$2', should be '$3'"
}

# at_least WHAT GOT LEAST, at_most WHAT GOT MOST: numbers, whole or not
at_least() {
    awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 >= b + 0) }' || wrong "$1 is '$2', should be at least $3"
}

at_most() {
    awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 <= b + 0) }' || wrong "$1 is '$2', should be at most $3"
}

# contains WHAT TEXT PART
contains() {
    case $2 in
    *"$3"*) ;;
    *) wrong "$1 should contain '$3', and is: $2" ;;
    esac
}

lacks() {
    case $2 in
    *"$3"*) wrong "$1 should not contain '$3', and is: $2" ;;
    esac
}

# eventually SECONDS CMD...: true as soon as CMD is, tried ten times a second; in a guest WW_SLOW times as long, and less
# often: looking keeps it from what is waited for
eventually() {
    local end=$((SECONDS + $1 * ${WW_SLOW:-1}))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep "$WW_LOOK"
    done
}

# ------------------------------------------------------------------------------------------------------- namespaces

srv() { ip netns exec "$SRV" "$@"; }
cli() { ip netns exec "$CLI" "$@"; }
rtr() { ip netns exec "$RTR" "$@"; }

# bg NS CMD...: in the background, until the test ends at the latest; $BG_PID is the command's own pid
bg() {
    local ns=$1
    shift
    ip netns exec "$ns" "$@" &
    BG_PID=$!
    WW_PIDS+=("$BG_PID")
}

net__ns() {
    must ip netns add "$1"
    must ip -n "$1" link set lo up
}

# net__veth NS1 IF1 NS2 IF2 QUEUES
net__veth() {
    must ip link add name "$2" netns "$1" numrxqueues "$5" numtxqueues "$5" type veth \
        peer name "$4" netns "$3" numrxqueues "$5" numtxqueues "$5"
}

# net__address NS IF ADDR4/LEN ADDR6/LEN: no duplicate address detection, so that it can be used at once; nobody asks for
# routers, which would be a packet every few seconds while a test compares counters
net__address() {
    must ip netns exec "$1" sh -c "cd /proc/sys/net/ipv6/conf/$2 && echo 0 >accept_dad && echo 0 >router_solicitations"
    must ip -n "$1" address add "$3" dev "$2"
    must ip -n "$1" address add "$4" dev "$2" nodad
    must ip -n "$1" link set "$2" up
}

net__carrier() {
    [ "$(ip netns exec "$1" cat "/sys/class/net/$2/carrier" 2>/dev/null)" = 1 ]
}

# net__wait NS IF [NS IF]...
net__wait() {
    while [ $# -gt 0 ]; do
        eventually 5 net__carrier "$1" "$2" || die "$2 got no carrier"
        shift 2
    done
}

# net__pair [QUEUES]
net__pair() {
    need_root
    net__ns "$SRV"
    net__ns "$CLI"
    net__veth "$SRV" "$SRV_IF" "$CLI" "$CLI_IF" "${1:-1}"
    net__address "$SRV" "$SRV_IF" $SRV4/24 $SRV6/64
    net__address "$CLI" "$CLI_IF" $CLI4/24 $CLI6/64
    net__wait "$SRV" "$SRV_IF" "$CLI" "$CLI_IF"
}

# net__path [QUEUES]: the router's two interfaces are ww-in (to the server) and ww-out (to the client)
net__path() {
    need_root
    SRV4=10.77.1.1 SRV6=fd77:1::1 CLI4=10.77.2.2 CLI6=fd77:2::2
    net__ns "$SRV"
    net__ns "$RTR"
    net__ns "$CLI"
    net__veth "$SRV" "$SRV_IF" "$RTR" ww-in "${1:-1}"
    net__veth "$RTR" ww-out "$CLI" "$CLI_IF" "${1:-1}"
    must rtr sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
    net__address "$SRV" "$SRV_IF" $SRV4/24 $SRV6/64
    net__address "$RTR" ww-in 10.77.1.254/24 fd77:1::254/64
    net__address "$RTR" ww-out 10.77.2.254/24 fd77:2::254/64
    net__address "$CLI" "$CLI_IF" $CLI4/24 $CLI6/64
    must ip -n "$SRV" route add default via 10.77.1.254
    must ip -n "$CLI" route add default via 10.77.2.254
    must ip -n "$SRV" -6 route add default via fd77:1::254
    must ip -n "$CLI" -6 route add default via fd77:2::254
    net__wait "$SRV" "$SRV_IF" "$RTR" ww-in "$RTR" ww-out "$CLI" "$CLI_IF"
}

# offload NS IF on|off FEATURE...: as ethtool -K names them (tso gso gro tx rx ...)
offload() {
    local ns=$1 dev=$2 state=$3 feature
    shift 3
    for feature in "$@"; do
        must ip netns exec "$ns" ethtool -K "$dev" "$feature" "$state" >/dev/null
    done
}

# counter NS IF NAME: one of the interface's own counters (rx_packets, tx_bytes, ...)
counter() {
    ip netns exec "$1" cat "/sys/class/net/$2/statistics/$3"
}

# counters NS IF: "rx_packets rx_bytes tx_packets tx_bytes"
counters() {
    # shellcheck disable=SC2016 # for the shell inside
    ip netns exec "$1" sh -c 'cd "/sys/class/net/$1/statistics" &&
        echo $(cat rx_packets rx_bytes tx_packets tx_bytes)' sh "$2"
}

# quiet NS IF: waits until the interface has neither sent nor received anything for a second and a half; in one shell that
# starts no programs, for these take an emulated machine longer than the wait
quiet() {
    # shellcheck disable=SC2016 # for the shell inside
    ip netns exec "$1" bash -c 'cd "/sys/class/net/$1/statistics" || exit
        still=0 last= end=$((SECONDS + $2))
        while [ "$still" -lt 15 ]; do
            [ "$SECONDS" -lt "$end" ] || exit
            read -rt 0.1 <&9
            read -r a <rx_packets; read -r b <rx_bytes; read -r c <tx_packets; read -r d <tx_bytes
            if [ "$a $b $c $d" = "$last" ]; then still=$((still + 1)); else still=0; fi
            last="$a $b $c $d"
        done' bash "$2" $((30 * ${WW_SLOW:-1})) 9<> <(:) || die "$2 does not come to rest"
}

# ------------------------------------------------------------------------------------------------- servers and clients

# nginx__start NS [WORKERS [CONFIGURATION]]: port 80, both families; /small is 612 bytes, /big is 100 MB, and WW_SLOW
# times less in a guest, where as much takes minutes. The third is text for its `server` block. With NGINX_LISTEN=reuseport
# each worker has a listening socket of its own, and the kernel spreads the connections over them. $NGINX_PID is the
# master's pid; everything nginx writes is in $TMP/nginx.
nginx__start() {
    local ns=$1 dir=$TMP/nginx big=100000000
    need nginx curl
    [ -z "${WW_GUEST-}" ] || big=$((big / ${WW_SLOW:-1}))
    chmod 755 "$TMP"
    mkdir -p "$dir/www"
    head -c 612 /dev/zero | tr '\0' x >"$dir/www/small"
    truncate -s $big "$dir/www/big"
    cat >"$dir/nginx.conf" <<-END
	daemon off;
	user www-data;
	worker_processes ${2:-2};
	pid $dir/pid;
	error_log $dir/error.log;
	events { worker_connections 1024; }
	http {
	    access_log off;
	    sendfile on;
	    keepalive_requests 100000000;
	    client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
	    uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
	    server { listen 80 ${NGINX_LISTEN-}; listen [::]:80 ${NGINX_LISTEN-}; root $dir/www; ${3-} }
	}
	END
    bg "$ns" nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf" 2>"$dir/stderr"
    NGINX_PID=$BG_PID
    eventually 10 nginx__answers "$ns" || die "nginx did not start: $(cat "$dir/stderr" "$dir/error.log")"
}

nginx__answers() {
    ip netns exec "$1" curl -fsS -m 1 -o /dev/null http://127.0.0.1/small 2>/dev/null
}

# The pids of the workers, one a line.
nginx__workers() {
    pgrep -P "$NGINX_PID"
}

# wrk__run NS SECONDS CONNECTIONS URL: nobody's request may fail
wrk__run() {
    local out failed=$WW_FAILED
    need wrk
    out=$(ip netns exec "$1" wrk -t 1 -c "$3" -d "$2" "$4" 2>&1) || wrong "wrk failed: $out"
    case $out in
    *'Socket errors'* | *'Non-2xx'*) wrong "requests failed: $out" ;;
    *'Requests/sec'*) ;;
    *) wrong "wrk did nothing: $out" ;;
    esac
    [ "$WW_FAILED" -eq "$failed" ]
}

# Somebody else's programs: other_xdp and other_tc let everything pass, other_drop nothing.
other__build() {
    built__make .build/tests/net/other.bpf.o
    must cp "$WW_ROOT/.build/tests/net/other.bpf.o" "$TMP/other.o"
}

# other_xdp NS IF
other_xdp() {
    other__build
    must ip -n "$1" link set dev "$2" xdp object "$TMP/other.o" section xdp
}

# other_tc NS IF ingress|egress PRIORITY: on a clsact that is there already
other_tc() {
    other__build
    must tc -n "$1" filter add dev "$2" "$3" prio "$4" bpf da object "$TMP/other.o" section tc
}

# What hangs on an interface: XDP and tc programs and filters, without counters.
hooks() {
    # shellcheck disable=SC2016 # for the shell inside
    ip netns exec "$1" sh -c 'bpftool net show dev "$1"; tc qdisc show dev "$1"
        tc filter show dev "$1" ingress; tc filter show dev "$1" egress
        ip -j -d link show dev "$1" | jq -c "[.[] | .xdp // empty | .prog.id]"' sh "$2"
}

# ------------------------------------------------------------------------------------------------------------ wirewho

# ww__start NS ARG...: in the background until it watches; $WW_PID. What it says is in $WW_OUT and $WW_ERR.
WW_RUNS=0
ww__start() {
    local ns=$1
    shift
    WW_RUNS=$((WW_RUNS + 1))
    WW_OUT=$TMP/ww.$WW_RUNS.out WW_ERR=$TMP/ww.$WW_RUNS.err
    bg "$ns" "$WIREWHO" "$@" >"$WW_OUT" 2>"$WW_ERR"
    WW_PID=$BG_PID
    eventually 20 ww__began || die "wirewho does not begin to watch: $(cat "$WW_ERR")"
    kill -0 "$WW_PID" 2>/dev/null || die "wirewho ended at once: $(cat "$WW_ERR")"
}

ww__began() {
    grep -q '^wirewho: watching' "$WW_ERR" || ! kill -0 "$WW_PID" 2>/dev/null
}

# ww__stop [SIGNAL]: waits for the end; the exit code is in $WW_CODE, and should be 0 unless the signal is KILL
ww__stop() {
    kill -"${1:-TERM}" "$WW_PID" 2>/dev/null || wrong "wirewho had ended before: $(cat "$WW_ERR")"
    { wait "$WW_PID"; WW_CODE=$?; } 2>/dev/null
    [ "${1:-TERM}" = KILL ] || is "wirewho's exit code" "$WW_CODE" 0
}

# What the running wirewho holds in the kernel: "prog 7", "map 9", "link 3", one a line.
ww__holds() {
    cat "/proc/$WW_PID/fdinfo"/* 2>/dev/null | sed -nE 's/^(prog|map|link)_id:\s*/\1 /p' | sort -u
}

# ww__left HOLDS: what of it the kernel still has
ww__left() {
    local kind id
    while read -r kind id; do
        ! bpftool "$kind" show id "$id" >/dev/null 2>&1 || echo "$kind $id"
    done <<<"$1"
}

ww__released() {
    [ -z "$(ww__left "$1")" ]
}

# sums FILE [JQ]: "rx_packets rx_bytes tx_packets tx_bytes" over the flow records, seen from this end; those that JQ selects
sums() {
    jq -rn "reduce (inputs | select(.event.kind == \"metric\") | ${2:-.}) as \$r ([0, 0, 0, 0];
        (if \$r.wirewho.local == \"source\" then [\$r.destination, \$r.source] else [\$r.source, \$r.destination] end)
            as [\$far, \$near]
        | [.[0] + \$far.packets, .[1] + \$far.bytes, .[2] + \$near.packets, .[3] + \$near.bytes])
        | map(tostring) | join(\" \")" "$1"
}

# ledger FILE [JQ]: the last line's ledger, or what JQ takes out of it
ledger() {
    tail -n 1 "$1" | jq -r ".wirewho.ledger${2:+ | $2}"
}
