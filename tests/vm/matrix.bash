# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Every kernel, one boot each, many tests in it: `tests/vm/run all` and `tests/vm/run short`.

# A test, and what it shows, as the table names it.
matrix__tests() {
    cat <<-END
	offline/verifier    every BPF program loads, within its budget of instructions
	net/run_exact       counts equal the interface's own, native and generic
	net/replay          the corpus of captures, replayed, native and generic
	net/owners_truth    the owners' truth table ($MATRIX_SCENARIOS)
	net/owners_http     HTTP: every packet the server's and the client's process
	guest/capture       capture: copy, inline and tap over a veth
	guest/trace         trace exec, syscalls, tcp and udp
	net/trace_packets   trace packets
	net/tcx_beside      other tcx programs stay
	net/run_kill        killed under load: other filters stay
	guest/neighbours    other XDP programs before, behind, coming and going
	guest/pktgen        pktgen: every packet of its flows
	guest/zero_copy     a card's own driver (igb): zero-copy, or one line that says why not
	guest/vlan          a VLAN and its parent
	guest/bond          a bond and its ports
	guest/bridge        a bridge and its ports
	guest/macvlan       a macvlan and its parent
	guest/netem         loss, doubles and reordering by netem
	END
}

MATRIX_SHORT='offline/verifier'
# Enough for a guest: one of each way that a socket comes to its owner.
MATRIX_SCENARIOS='20 scenarios'
MATRIX_OWNERS='@(tcp_both|tcp_ipv6|udp_ipv6|udp_443|short_tcp|older_tcp|older_udp|accept_then_fork|prefork_workers|reuseport_udp'
MATRIX_OWNERS=$MATRIX_OWNERS'|socket_activation|dup|exec|passed_in_use|udp_passed_in_use|sendfile|splice|sendmmsg|io_uring|nginx_curl)'

# matrix__guest TESTS: what the guest runs; each test's line, and its log when it failed
matrix__guest() {
    # shellcheck disable=SC2086 # a list
    echo "uname -r >/run/vm/release; export WW_LOGS=/run/vm/logs; exec bash tests/run" $1
}

# matrix__kernel KERNEL TESTS: boots it; leaves the guest's lines, and one for the boot itself if it did not go well, in
# its .rows, and says them, each with the kernel's name, for several run at once
matrix__kernel() {
    local code=0 out=$MATRIX/$1
    mkdir -p "$out"
    WW_OWNERS=$MATRIX_OWNERS "$VM_HERE/run" "$1" --cards virtio,igb --memory 2048 --timeout "$MATRIX_LIMIT" --out "$out" \
        -- bash -c "$(matrix__guest "$2")" 2>"$out/said" | tee "$out/lines" | sed -u "s/^/$1: /"
    code=${PIPESTATUS[0]}
    sed "s/^/$1: /" "$out/said"
    case $code in
    77) echo "SKIP  boot 0 s  $(tail -n 1 "$out/lines")" ;;
    124) echo "FAIL  boot 0 s  took longer than $MATRIX_LIMIT s" ;;
    125) echo "FAIL  boot 0 s  the kernel complained, or did not come up" ;;
    0 | 1) ;;
    *) echo "FAIL  boot 0 s  exit code $code" ;;
    esac >"$out/boot"
    cat "$out/lines" "$out/boot" | grep -E '^(ok|SKIP|FAIL) ' >"$MATRIX/$1.rows"
}

# matrix__rows: "KERNEL RELEASE RESULT TEST SECONDS REASON" a line, by tabs
matrix__rows() {
    local kernel release
    for kernel in $MATRIX_KERNELS; do
        release=$(cat "$MATRIX/$kernel/release" 2>/dev/null || echo "$kernel")
        sed -nE "s/^(ok|SKIP|FAIL) +([^ ]+) +([0-9.]+) s *(.*)$/$kernel\t$release\t\1\t\2\t\3\t\4/p" "$MATRIX/$kernel.rows"
    done
}

matrix__json() {
    matrix__rows | jq -Rn '[inputs / "\t" | {kernel: .[0], release: .[1], result: .[2], test: .[3],
        seconds: (.[4] | tonumber), reason: .[5]}]'
}

matrix__markdown() {
    { matrix__tests | sed -E 's/^([^ ]+) +/name\t\1\t/'; matrix__rows; } | awk -F '\t' '
        $1 == "name" { feature[$2] = $3; next }
        !($1 in column) { column[$1] = ++columns; head[columns] = $2 }
        !($4 in row) { row[$4] = ++rows; name[rows] = $4 }
        $3 == "SKIP" && !($6 in note) { note[$6] = ++notes; text[notes] = $6 }
        { cell[row[$4], column[$1]] = $3 == "SKIP" ? "skipped (" note[$6] ")" : $3 == "FAIL" ? "FAILED" : "ok" }
        END {
            printf "| |"; for (c = 1; c <= columns; c++) printf " %s |", head[c]
            printf "\n|---|"; for (c = 1; c <= columns; c++) printf "---|"
            for (r = 1; r <= rows; r++) {
                printf "\n| %s |", name[r] in feature ? feature[name[r]] : name[r]
                for (c = 1; c <= columns; c++) printf " %s |", cell[r, c] == "" ? "-" : cell[r, c]
            }
            print ""
            for (n = 1; n <= notes; n++) printf "\n(%d) %s\n", n, text[n]
        }'
}

# matrix__put FILE: the table, between the marks where the file has them, else as the whole file
matrix__put() {
    local table
    table=$(matrix__markdown)
    if grep -qs '^<!-- kernels -->$' "$1"; then
        TABLE=$table awk '/^<!-- kernels -->$/ { print; print ENVIRON["TABLE"]; skip = 1 }
            /^<!-- \/kernels -->$/ { skip = 0 } !skip && !/^<!-- kernels -->$/' "$1" >"$1.new" && mv "$1.new" "$1"
    else
        echo "$table" >"$1"
    fi
}

# As many at once as this machine has processors: a guest seldom uses more than one.
matrix__boots() {
    local kernel most running
    most=$(nproc)
    for kernel in $MATRIX_KERNELS; do
        while running=$(jobs -rp | wc -l); [ "$running" -ge "$most" ]; do
            sleep 0.5
        done
        matrix__kernel "$kernel" "$1" >&2 &
    done
    wait
}

# matrix all|short [--json FILE] [--markdown FILE] [--kernels LIST] [--only TESTS]
matrix() {
    local tests json='' markdown=''
    tests=$(matrix__tests | cut -d ' ' -f 1 | tr '\n' ' ')
    MATRIX_KERNELS=$VM_KERNELS MATRIX_LIMIT=1700
    [ "$1" != short ] || { MATRIX_KERNELS='6.1 newest' tests=$MATRIX_SHORT MATRIX_LIMIT=900; }
    shift
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || usage
        case $1 in
        --json) json=$2 ;;
        --markdown) markdown=$2 ;;
        --kernels) MATRIX_KERNELS=${2//,/ } ;;
        --only) tests=${2//,/ } ;;
        *) usage ;;
        esac
        shift 2
    done
    need
    make -s -C "$VM_ROOT" wirewho actor .build/tests/kernel/verifier || die "what the guests run was not built"
    MATRIX=$VM_DIR/matrix
    rm -rf "$MATRIX"
    mkdir -p "$MATRIX"
    matrix__boots "$tests"
    [ -z "$json" ] || matrix__json >"$json"
    [ -z "$markdown" ] || matrix__put "$markdown"
    matrix__markdown
    matrix__judge
}

# Exit code 1: something failed, or a kernel showed nothing at all; 77: no kernel could be had.
matrix__judge() {
    local kernel
    for kernel in $MATRIX_KERNELS; do
        [ -s "$MATRIX/$kernel.rows" ] || return 1
    done
    ! matrix__rows | cut -f 3 | grep -qx FAIL || return 1
    matrix__rows | cut -f 3 | grep -qx ok && return
    matrix__rows | cut -f 6 | tail -n 1
    return 77
}
