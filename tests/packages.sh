#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Which Debian packages (12 and 13) are needed, what for, and how to get those that are missing.
#
#   packages.sh check build|test|demo|bench|vm...      says what is missing and the line that mends it; exit 1 then
#   packages.sh install build|test|demo|bench|vm...    installs what is missing, and starts no service
set -eu

# What for, and the package; a|b where its name is not the same everywhere.
table() {
    cat <<-END
	build gcc
	build libc6-dev
	build linux-libc-dev
	build clang
	build llvm
	build bpftool
	build make
	build pkg-config
	build libbpf-dev
	build libxdp-dev
	build libelf-dev
	build zlib1g-dev
	build libjansson-dev
	build libncurses-dev
	build libpcap-dev
	build libmd-dev
	demo nginx-light|nginx
	demo curl
	demo wrk
	demo iproute2
	demo python3
	demo netbase
	bench nginx-light|nginx
	bench curl
	bench wrk
	bench iproute2
	bench python3
	bench ethtool
	bench tcpdump
	bench wireshark-common
	bench xdp-tools
	bench nftables
	bench softflowd
	bench iftop
	bench nethogs
	bench strace
	bench linux-perf
	bench iperf3
	bench libbpf-tools
	bench bpftool
	bench kmod
	bench gnuplot-nox
	test nginx-light|nginx
	test curl
	test wrk
	test iproute2
	test python3
	test netbase
	test libcmocka-dev
	test libclang-rt-dev|libclang-rt-14-dev
	test clang-format
	test cppcheck
	test valgrind
	test iperf3
	test tcpdump
	test wireshark-common
	test tshark
	test ethtool
	test jq
	test xdp-tools
	test socat
	test strace
	test procps
	test util-linux
	test tmux
	test liburing-dev
	test nftables
	test iputils-ping
	test nethogs
	test gnuplot-nox
	vm busybox-static
	vm cpio
	vm kmod
	vm xz-utils
	vm debian-archive-keyring
	vm libbpf-tools
	END
}

usage() {
    echo "usage: packages.sh check|install build|test|demo|bench|vm..." >&2
    exit 2
}

installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

known() {
    apt-cache show "$1" >/dev/null 2>&1
}

# The names of a|b, one a word.
names() {
    echo "$1" | tr '|' ' '
}

any_installed() {
    for name in $(names "$1"); do
        installed "$name" && return 0
    done
    return 1
}

# The first name that this system's package lists know; without lists, the first.
name_here() {
    for name in $(names "$1"); do
        known "$name" && { echo "$name"; return; }
    done
    echo "${1%%|*}"
}

# missing PURPOSE...: the packages that are not installed, on one line.
missing() {
    for purpose in "$@"; do
        table | sed -n "s/^$purpose //p"
    done | sort -u | while read -r row; do
        any_installed "$row" || name_here "$row"
    done | tr '\n' ' ' | sed 's/ $//'
}

all_known() {
    for name in $1; do
        known "$name" || return 1
    done
}

check() {
    want=$(missing "$@")
    [ -z "$want" ] && return 0
    sudo=
    update=
    [ "$(id -u)" -eq 0 ] || sudo="sudo "
    all_known "$want" || update="${sudo}apt-get update && "
    echo "wirewho: to $(echo "$@" | sed 's/ / and /g') it, packages are missing; get them with:" \
        "${update}${sudo}apt-get install --no-install-recommends -y $want" >&2
    return 1
}

# While this file says 101, a package's installation starts no service: nothing of ours shall listen on port 80.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# Nor shall what came with our packages start with the next boot.
disable_services() {
    for service in $(echo "$1" | tr ' ' '\n' | sed -n 's/^nginx.*/nginx/p; s/^iperf3$/iperf3/p'); do
        [ ! -e "/etc/init.d/$service" ] || update-rc.d "$service" disable >/dev/null 2>&1 || true
    done
}

apt() {
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

get() {
    # shellcheck disable=SC2086 # a list of names
    apt install --no-install-recommends -y $1 >"$log" 2>&1
}

install() {
    want=$(missing "$@")
    [ -z "$want" ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        check "$@"
        return 1
    fi
    log=$(mktemp)
    forbid_services
    updated=
    if ! all_known "$want"; then
        apt update >"$log" 2>&1 || cat "$log" >&2
        updated=1
        want=$(missing "$@")
    fi
    echo "wirewho: installing $want"
    if ! get "$want" && { [ -n "$updated" ] || ! apt update >>"$log" 2>&1 || ! get "$want"; }; then
        tail -n 20 "$log" >&2
        echo "wirewho: apt-get could not install: $want; its last lines stand above" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
    disable_services "$want"
}

[ $# -ge 2 ] || usage
verb=$1
shift
for purpose in "$@"; do
    case $purpose in build | test | demo | bench | vm) ;; *) usage ;; esac
done
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "wirewho: no apt-get here, so nobody checks whether these are installed (Debian's names):" \
        "$(for p in "$@"; do table | sed -n "s/^$p //p"; done | tr '\n' ' ')" >&2
    exit 0
fi
case $verb in
check) check "$@" ;;
install) install "$@" ;;
*) usage ;;
esac
