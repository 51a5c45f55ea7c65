# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Every kernel, one boot each, many tests in it: `tests/vm/run all` and `tests/vm/run short`.

MATRIX_ALL='offline/verifier net/doctor net/cleanup net/run_exact net/owners_http net/owners_udp net/owners_truth
    net/vlan net/jumbo net/links net/replay net/capture_tap net/inline_udp net/copy_http guest/'
MATRIX_SHORT='offline/verifier net/owners_http guest/pktgen guest/zero_copy'

# matrix__guest TESTS: what the guest runs; each test's line, and its log when it failed
matrix__guest() {
    # shellcheck disable=SC2086 # a list
    echo "uname -r >/run/vm/release; exec bash tests/run" $1
}

# matrix__kernel KERNEL TESTS: the guest's lines, and one for the boot itself, to stdout
matrix__kernel() {
    local code=0 out=$MATRIX/$1
    mkdir -p "$out"
    echo "vm: kernel $1" >&2
    "$VM_HERE/run" "$1" --cards virtio,igb --memory 2048 --timeout "$MATRIX_LIMIT" --out "$out" \
        -- bash -c "$(matrix__guest "$2")" 2>"$out/said" | tee "$out/lines" >&2
    code=${PIPESTATUS[0]}
    cat "$out/said" >&2
    case $code in
    77) echo "SKIP  boot 0 s  $(tail -n 1 "$out/lines")" ;;
    124) echo "FAIL  boot 0 s  took longer than $MATRIX_LIMIT s" ;;
    125) echo "FAIL  boot 0 s  the kernel complained" ;;
    esac >"$out/boot"
    cat "$out/lines" "$out/boot" | grep -E '^(ok|SKIP|FAIL) '
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
    matrix__rows | awk -F '\t' '
        !($1 in column) { column[$1] = ++columns; head[columns] = $2 }
        !($4 in row) { row[$4] = ++rows; name[rows] = $4 }
        { cell[row[$4], column[$1]] = $3 == "SKIP" ? "skipped: " $6 : $3 == "FAIL" ? "FAILED" : "ok" }
        END {
            printf "| test |"; for (c = 1; c <= columns; c++) printf " %s |", head[c]
            printf "\n|---|"; for (c = 1; c <= columns; c++) printf "---|"
            for (r = 1; r <= rows; r++) {
                printf "\n| %s |", name[r]
                for (c = 1; c <= columns; c++) printf " %s |", cell[r, c] == "" ? "-" : cell[r, c]
            }
            print ""
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

# matrix all|short [--json FILE] [--markdown FILE] [--kernels LIST] [--only TESTS]
matrix() {
    local tests=$MATRIX_ALL json='' markdown='' kernel
    MATRIX_KERNELS=$VM_KERNELS MATRIX_LIMIT=900
    [ "$1" != short ] || { MATRIX_KERNELS='6.1 newest' tests=$MATRIX_SHORT MATRIX_LIMIT=400; }
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
    for kernel in $MATRIX_KERNELS; do
        matrix__kernel "$kernel" "$tests" >"$MATRIX/$kernel.rows"
    done
    [ -z "$json" ] || matrix__json >"$json"
    [ -z "$markdown" ] || matrix__put "$markdown"
    matrix__markdown
    matrix__judge
}

# Exit code 1: something failed; 77: no kernel could be had.
matrix__judge() {
    ! matrix__rows | cut -f 3 | grep -qx FAIL || return 1
    matrix__rows | cut -f 3 | grep -qx ok && return
    matrix__rows | cut -f 6 | tail -n 1
    return 77
}
