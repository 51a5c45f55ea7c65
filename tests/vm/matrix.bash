# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Every kernel, one boot each, many tests in it: `tests/vm/run all` and `tests/vm/run short`.

# A test, on which kernels (`here` is this host's own), and what it shows, as the table names it. `all` is everywhere, and
# `guests` wherever there are modules and cards. For time, some run on those kernels alone that differ in it, and the
# rest is spread so that all guests take about as long.
matrix__tests() {
    cat <<-END
	offline/verifier    all                every BPF program loads, within its budget of instructions
	net/replay          all                the corpus of captures, replayed: native and generic, each flow's packets and bytes
	net/owners_truth    all                the owners' truth table ($MATRIX_SCENARIOS)
	net/owners_http     all                HTTP: every packet the server's and the client's process
	guest/owners_tcptop newest             owners, with bcc's tcptop beside
	net/mode_tc         6.1,here           tc instead of XDP, merged and uncut packets: the same counts and owners
	guest/capture       all                capture: copy, inline and tap over a veth
	guest/trace         all                trace exec, syscalls, tcp and udp
	net/trace_packets   6.1,here           trace packets
	net/run_segments    6.12,here          uncut packets, in a VXLAN too: the segments that they become on the wire
	net/tcx_beside      6.1,6.12,here      other tcx programs stay
	net/run_kill        6.1,here           killed under load: other filters stay
	guest/neighbours    6.1,newest,here    other XDP programs before, behind, coming and going
	guest/pktgen        guests             pktgen: every packet of its 10 100 flows, native and (from 6.7 on) generic
	guest/cards_pktgen  6.1                pktgen from a virtio_net card to an igb and back
	guest/zero_copy     6.12,newest        a card's own driver (igb): zero-copy, or one line that says why not
	guest/vlan          newest             a VLAN and its parent, and a VLAN on a VLAN
	guest/bridge        6.1,here           a bridge and its ports
	guest/bond          newest             a bond and its ports
	guest/macvlan       newest             a macvlan and its parent
	guest/netem         newest             loss, doubles and reordering by netem
	END
}

# matrix__kernels WHICH: of those that tests run on
matrix__kernels() {
    case $1 in
    all) echo "$VM_KERNELS here" ;;
    guests) echo "$VM_KERNELS" ;;
    *) echo "${1//,/ }" ;;
    esac
}

# matrix__sort KERNEL: "here TEST" or "not TEST" a line, for those that run there and those that do not
matrix__sort() {
    local test which rest
    while read -r test which rest; do
        if [[ " $(matrix__kernels "$which") " = *" $1 "* ]]; then echo "here $test"; else echo "not $test"; fi
    done < <(matrix__tests)
}

matrix__here() {
    matrix__sort "$1" | sed -n 's/^here //p' | tr '\n' ' '
}

# matrix__left_out KERNEL: lines for those that do not run there
matrix__left_out() {
    local why='for time, on the other kernels only'
    [ "$1" != here ] || why='needs modules or cards that a guest has'
    [ -n "$MATRIX_TESTS" ] || matrix__sort "$1" | sed -n "s/^not \(.*\)/SKIP  \1 0 s  $why/p"
}

MATRIX_SHORT='offline/verifier guest/capture'
# Enough for a guest: one of each way that a socket comes to its owner.
MATRIX_SCENARIOS='20 scenarios'
MATRIX_OWNERS='@(tcp_both|tcp_ipv6|udp_ipv6|udp_443|short_tcp|older_tcp|older_udp|accept_then_fork|prefork_workers|reuseport_udp'
MATRIX_OWNERS=$MATRIX_OWNERS'|socket_activation|dup|exec|passed_in_use|udp_passed_in_use|sendfile|splice|sendmmsg|io_uring|nginx_curl)'

# matrix__chosen KERNEL: in the short form 6.12 loads the programs only, as its verifier is like neither of the others
matrix__chosen() {
    case $MATRIX_TESTS in
    '') matrix__here "$1" ;;
    short) if [ "$1" = 6.12 ]; then echo "${MATRIX_SHORT%% *}"; else echo "$MATRIX_SHORT"; fi ;;
    *) echo "$MATRIX_TESTS" ;;
    esac
}

# matrix__guest TESTS: what the guest runs; each test's line, and its log when it failed
matrix__guest() {
    # shellcheck disable=SC2086 # a list
    echo "uname -r >/run/vm/release; export WW_LOGS=/run/vm/logs; exec bash tests/run" $1
}

# matrix__cards TESTS: several queues need tap devices, which not each machine lets one make
matrix__cards() {
    local queues=
    if [[ $1 = *cards_pktgen* ]] && unshare -n ip tuntap add t0 mode tap multi_queue 2>/dev/null; then
        queues=:2
    fi
    echo "virtio$queues,igb"
}

# matrix__run KERNEL TESTS: in a guest, or for `here` on this host
matrix__run() {
    local out=$MATRIX/$1
    export WW_OWNERS=$MATRIX_OWNERS
    [ "$1" = here ] || exec "$VM_HERE/run" "$1" --cards "$(matrix__cards "$2")" --memory 2048 \
        --timeout "$MATRIX_LIMIT" --out "$out" -- bash -c "$(matrix__guest "$2")"
    uname -r >"$out/release"
    cd "$VM_ROOT" || exit
    # shellcheck disable=SC2086 # a list
    WW_GUEST=here WW_SLOW=${WW_SLOW:-5} WW_LOGS=$out/logs exec bash tests/run $2
}

# matrix__rest KERNEL TESTS: those that have no line yet
matrix__rest() {
    local test
    for test in $2; do
        grep -qE "^(ok|SKIP|FAIL) +$test " "$MATRIX/$1/lines" || echo "$test"
    done
}

# matrix__try KERNEL TESTS: adds to the kernel's lines, and says them, each with the kernel's name, for several run at once
matrix__try() {
    local out=$MATRIX/$1 code
    (matrix__run "$@") 2>"$out/said" | tee -a "$out/lines" | sed -u "s/^/$1: /"
    code=${PIPESTATUS[0]}
    sed "s/^/$1: /" "$out/said"
    return "$code"
}

# matrix__kernel KERNEL TESTS: leaves the lines, and one for the boot itself if it did not go well, in its .rows; once more
# for the rest of the tests where QEMU itself gave up
matrix__kernel() {
    local code=0 out=$MATRIX/$1 start=$SECONDS
    mkdir -p "$out"
    : >"$out/lines"
    matrix__try "$1" "$2"
    code=$?
    if [ "$code" -eq 126 ]; then
        matrix__try "$1" "$(matrix__rest "$1" "$2" | tr '\n' ' ')"
        code=$?
    fi
    case $code in
    77) echo "SKIP  boot 0 s  $(tail -n 1 "$out/lines")" ;;
    124) echo "FAIL  boot 0 s  took longer than $MATRIX_LIMIT s" ;;
    125) echo "FAIL  boot 0 s  the kernel complained, or did not come up" ;;
    126) echo "FAIL  boot 0 s  QEMU gave up, twice" ;;
    0 | 1) ;;
    *) echo "FAIL  boot 0 s  exit code $code" ;;
    esac >"$out/boot"
    { cat "$out/lines" "$out/boot"; matrix__left_out "$1"; } | grep -E '^(ok|SKIP|FAIL) ' >"$MATRIX/$1.rows"
    echo $((SECONDS - start)) >"$out/took"
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

# The kernels from old to new, this host's own said to be that, and the tests in their order.
matrix__markdown() {
    { matrix__rows | cut -f 1,2 | sort -u -t "$(printf '\t')" -k 2,2V | sed 's/^/kernel\t/'
      matrix__tests | sed -E 's/^([^ ]+) +[^ ]+ +/name\t\1\t/'; printf 'name\tboot\tthe kernel itself\n'
      matrix__rows; } | awk -F '\t' '
        $1 == "kernel" { column[$2] = ++columns; next }
        $1 == "name" { row[$2] = ++rows; name[rows] = $3; next }
        !($4 in row) { row[$4] = ++rows; name[rows] = $4 }
        $3 == "SKIP" && !($6 in note) { note[$6] = ++notes; text[notes] = $6 }
        {
            head[column[$1]] = $2 ($1 == "here" ? " (host)" : "")
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

# The newest first, which has the most to do. One more at once than this machine has processors: a guest waits for a third
# of its time. This host's own tests come when a guest is done.
matrix__order() {
    local kernel
    for kernel in newest 6.1 6.12 here; do
        [[ " $MATRIX_KERNELS " != *" $kernel "* ]] || echo "$kernel"
    done
}

matrix__boots() {
    local kernel
    for kernel in $(matrix__order); do
        while [ "$(jobs -rp | wc -l)" -ge "$MATRIX_JOBS" ]; do
            sleep 0.5
        done
        matrix__kernel "$kernel" "$(matrix__chosen "$kernel")" >&2 &
    done
    wait
}

# matrix all|short [OPTION]...: as tests/vm/run says
matrix() {
    local json='' markdown='' logs='' code
    MATRIX=
    MATRIX_TESTS='' MATRIX_KERNELS="$VM_KERNELS here" MATRIX_LIMIT=1700 MATRIX_ONTO='' MATRIX_JOBS=$(($(nproc) + 1))
    [ "$1" != short ] || { MATRIX_KERNELS=$VM_KERNELS MATRIX_TESTS=short MATRIX_LIMIT=900 MATRIX_JOBS=2; }
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
        --jobs) MATRIX_JOBS=$2 ;;
        --logs) logs=$2 MATRIX=$2 ;;
        *) usage ;;
        esac
        shift 2
    done
    need
    make -s -j "$(nproc)" -C "$VM_ROOT" wirewho actor .build/tests/kernel/verifier .build/tests/net/other.bpf.o || die "what the guests run was not built"
    python3 "$VM_ROOT/tests/net/replay.py" prepare "$VM_ROOT/.build/tests/replay.frames" >&2 || rm -f "$VM_ROOT/.build/tests/replay.frames"
    mkdir -p "$VM_DIR"
    [ -n "$MATRIX" ] || MATRIX=$(mktemp -d "$VM_DIR/matrix.XXXXXX") || die "cannot write to $VM_DIR"
    mkdir -p "$MATRIX"
    matrix__boots
    [ -z "$json" ] || { matrix__json >"$MATRIX/json" && cp "$MATRIX/json" "$json"; }
    [ -z "$markdown" ] || matrix__put "$markdown"
    matrix__markdown
    matrix__times >&2
    matrix__judge
    code=$?
    [ "$code" -eq 1 ] || [ -n "$logs" ] || rm -rf "$MATRIX"
    [ ! -e "$MATRIX" ] || echo "the logs are in $MATRIX" >&2
    return "$code"
}

# What each kernel took, its boot included; and what the verifier went through there, where the budget is nearest.
matrix__times() {
    local kernel log
    for kernel in $MATRIX_KERNELS; do
        log=$MATRIX/$kernel/logs/offline_verifier.log
        [ ! -e "$log" ] || awk -v kernel="$kernel" '
            $3 ~ /^[0-9]+$/ && $4 ~ /^[0-9]+$/ { part = 100 * $3 / $4; if (part > most) { most = part; which = $1 ": " $3 " of " $4 } }
            END { print kernel ": the verifier: " $0 "; the nearest is " which }' "$log"
    done
    for kernel in $MATRIX_KERNELS; do
        echo "$kernel: $(grep -cE '^(ok|SKIP|FAIL) ' "$MATRIX/$kernel/lines") tests in $(cat "$MATRIX/$kernel/took") s"
    done
    echo "all of it took $SECONDS s"
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
