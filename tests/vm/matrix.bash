# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Every kernel, one boot each, many tests in it: `tests/vm/run all` and `tests/vm/run short`.

# A test, on which kernels, and what it shows, as the table names it. For time, some run on the oldest and the newest
# alone, or on the newest.
matrix__tests() {
    cat <<-END
	offline/verifier    all     every BPF program loads, within its budget of instructions
	net/replay          all     the corpus of captures, replayed: native and generic, each flow's packets and bytes
	net/owners_truth    all     the owners' truth table ($MATRIX_SCENARIOS)
	net/owners_http     all     HTTP: every packet the server's and the client's process
	guest/capture       all     capture: copy, inline and tap over a veth
	guest/trace         all     trace exec, syscalls, tcp and udp
	net/trace_packets   ends    trace packets
	net/tcx_beside      all     other tcx programs stay
	net/run_kill        ends    killed under load: other filters stay
	guest/neighbours    all     other XDP programs before, behind, coming and going
	guest/pktgen        ends    pktgen: every packet of its flows
	guest/zero_copy     all     a card's own driver (igb): zero-copy, or one line that says why not
	guest/vlan          ends    a VLAN and its parent
	guest/bridge        ends    a bridge and its ports
	guest/bond          newest  a bond and its ports
	guest/macvlan       newest  a macvlan and its parent
	guest/netem         newest  loss, doubles and reordering by netem
	END
}

# matrix__kernels WHICH: of those that tests run on
matrix__kernels() {
    case $1 in
    all) echo "$VM_KERNELS" ;;
    ends) echo '6.1 newest' ;;
    newest) echo newest ;;
    esac
}

# matrix__sort KERNEL: "here TEST" or "WHICH TEST" a line, for those that run there and those that do not
matrix__sort() {
    local test which rest
    while read -r test which rest; do
        [[ " $(matrix__kernels "$which") " != *" $1 "* ]] || which=here
        echo "$which $test"
    done < <(matrix__tests)
}

matrix__here() {
    matrix__sort "$1" | sed -n 's/^here //p' | tr '\n' ' '
}

# matrix__left_out KERNEL: lines for those that do not run there
matrix__left_out() {
    [ -n "$MATRIX_TESTS" ] || matrix__sort "$1" | sed -nE 's/^(ends) (.*)/SKIP  \2 0 s  for time, on the oldest and the newest kernel only/p
        s/^(newest) (.*)/SKIP  \2 0 s  for time, on the newest kernel only/p'
}

MATRIX_SHORT='offline/verifier guest/capture'
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
    { cat "$out/lines" "$out/boot"; matrix__left_out "$1"; } | grep -E '^(ok|SKIP|FAIL) ' >"$MATRIX/$1.rows"
}

# What ran now: "KERNEL RELEASE RESULT TEST SECONDS REASON" a line, by tabs
matrix__new() {
    local kernel release
    for kernel in $MATRIX_KERNELS; do
        release=$(cat "$MATRIX/$kernel/release" 2>/dev/null || echo "$kernel")
        sed -nE "s/^(ok|SKIP|FAIL) +([^ ]+) +([0-9.]+) s *(.*)$/$kernel\t$release\t\1\t\2\t\3\t\4/p" "$MATRIX/$kernel.rows"
    done
}

# The same of what ran before, without those tests that ran again, on that kernel, and without a boot that went wrong.
matrix__old() {
    [ -z "$MATRIX_ONTO" ] || jq -r '.[] | select(.test != "boot")
        | [.kernel, .release, .result, .test, .seconds, .reason] | @tsv' "$MATRIX_ONTO" |
        awk -F '\t' 'FILENAME != "-" { again[$1, $4] = 1; next } !(($1, $4) in again)' <(matrix__new) -
}

matrix__rows() {
    matrix__old
    matrix__new
}

matrix__json() {
    matrix__rows | jq -Rn '[inputs / "\t" | {kernel: .[0], release: .[1], result: .[2], test: .[3],
        seconds: (.[4] | tonumber), reason: .[5]}]'
}

# The kernels from old to new, and the tests in their order.
matrix__markdown() {
    { for kernel in $VM_KERNELS; do printf 'kernel\t%s\n' "$kernel"; done
      matrix__tests | sed -E 's/^([^ ]+) +[a-z]+ +/name\t\1\t/'; printf 'name\tboot\tthe kernel itself\n'
      matrix__rows; } | awk -F '\t' '
        $1 == "kernel" { column[$2] = ++columns; next }
        $1 == "name" { row[$2] = ++rows; name[rows] = $3; next }
        !($4 in row) { row[$4] = ++rows; name[rows] = $4 }
        $3 == "SKIP" && !($6 in note) { note[$6] = ++notes; text[notes] = $6 }
        {
            head[column[$1]] = $2
            said[row[$4]] = 1
            cell[row[$4], column[$1]] = $3 == "SKIP" ? "skipped (" note[$6] ")" : $3 == "FAIL" ? "FAILED" : "ok"
        }
        END {
            printf "| |"; for (c = 1; c <= columns; c++) if (c in head) printf " %s |", head[c]
            printf "\n|---|"; for (c = 1; c <= columns; c++) if (c in head) printf "---|"
            for (r = 1; r <= rows; r++) {
                if (!(r in said)) continue
                printf "\n| %s |", name[r]
                for (c = 1; c <= columns; c++) if (c in head) {
                    printf " %s |", cell[r, c] == "" ? "-" : cell[r, c]
                    missing += cell[r, c] == ""
                }
            }
            print ""
            if (missing) print "\n-: has not run in these runs"
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

# One more at once than this machine has processors: a guest waits for a third of its time.
matrix__boots() {
    local kernel most running
    most=$(($(nproc) + 1))
    for kernel in $MATRIX_KERNELS; do
        while running=$(jobs -rp | wc -l); [ "$running" -ge "$most" ]; do
            sleep 0.5
        done
        matrix__kernel "$kernel" "${MATRIX_TESTS:-$(matrix__here "$kernel")}" >&2 &
    done
    wait
}

# matrix all|short [OPTION]...: as tests/vm/run says
matrix() {
    local json='' markdown=''
    MATRIX_TESTS='' MATRIX_KERNELS=$VM_KERNELS MATRIX_LIMIT=1700 MATRIX_ONTO=
    [ "$1" != short ] || { MATRIX_KERNELS='6.1 newest' MATRIX_TESTS=$MATRIX_SHORT MATRIX_LIMIT=900; }
    shift
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || usage
        case $1 in
        --json) json=$2 ;;
        --markdown) markdown=$2 ;;
        --kernels) MATRIX_KERNELS=${2//,/ } ;;
        --only) MATRIX_TESTS=${2//,/ } ;;
        --onto) MATRIX_ONTO=$2 ;;
        --timeout) MATRIX_LIMIT=$2 ;;
        *) usage ;;
        esac
        shift 2
    done
    need
    make -s -C "$VM_ROOT" wirewho actor .build/tests/kernel/verifier || die "what the guests run was not built"
    MATRIX=$VM_DIR/matrix
    rm -rf "$MATRIX"
    mkdir -p "$MATRIX"
    matrix__boots
    [ -z "$json" ] || { matrix__json >"$MATRIX/json" && cp "$MATRIX/json" "$json"; }
    [ -z "$markdown" ] || matrix__put "$markdown"
    matrix__markdown
    matrix__times
    matrix__judge
}

# The boots, and what the tests took by the guests' own clocks.
matrix__times() {
    matrix__new | awk -F '\t' -v all="$SECONDS" '
        { n[$1]++; seconds[$1] += $5 }
        END { for (kernel in n) printf "%s: %d tests in %d s of its own\n", kernel, n[kernel], seconds[kernel]
              printf "all of it took %d s\n", all }' >&2
}

# Exit code 1: something failed, or a kernel showed nothing at all; 77: no kernel could be had.
matrix__judge() {
    local kernel
    for kernel in $MATRIX_KERNELS; do
        [ -s "$MATRIX/$kernel.rows" ] || return 1
    done
    ! matrix__new | cut -f 3 | grep -qx FAIL || return 1
    matrix__new | cut -f 3 | grep -qx ok && return
    matrix__new | cut -f 6 | tail -n 1
    return 77
}
