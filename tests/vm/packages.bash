# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Debian's kernels, and a QEMU that has the cards we want, unpacked under $VM_DIR for us alone: nothing is installed, and
# the host's own apt neither reads nor writes what stands there. What was fetched once stays; `tests/vm/run update`
# removes it, so that the next run fetches anew.
#
#     packages__kernel NAME    fetches what is missing, and prints the kernel's directory: vmlinuz, modules/, version
#     packages__qemu           the same for QEMU; prints the directory it is unpacked in
#
# Every package is checked against the signatures of debian-archive-keyring.

VM_KERNELS='6.1 6.12 newest'
VM_MIRROR=${WW_DEBIAN_MIRROR:-http://deb.debian.org/debian}
VM_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

kernel__suite() {
    case $1 in
    6.1) echo bookworm ;;
    6.12) echo bookworm-backports ;;
    newest) echo sid ;;
    esac
}

# apt__config DIR SUITE...: an apt of our own. A mirror may be older than the lists' date of expiry; the host's way to the
# mirror (a proxy) is ours too.
apt__config() {
    local dir=$1 suite
    shift
    mkdir -p "$dir"/etc/{trusted.gpg.d,preferences.d} "$dir"/state/lists/partial "$dir"/cache/archives/partial
    : >"$dir/status"
    for suite in "$@"; do
        echo "deb [arch=amd64 check-valid-until=no signed-by=$VM_KEYRING] $VM_MIRROR $suite main"
    done >"$dir/etc/sources.list"
    cat >"$dir/apt.conf" <<-END
	Dir "$dir"; Dir::State "state"; Dir::State::status "$dir/status"; Dir::Cache "cache"; Dir::Etc "etc";
	Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";
	APT::Architecture "amd64"; APT::Architectures { "amd64"; }; APT::Sandbox::User "root"; APT::Install-Recommends "0";
	Acquire::Languages "none"; Acquire::Retries "3"; Acquire::http::Timeout "30"; Acquire::https::Timeout "30";
	END
    apt-config dump | grep -iE '^Acquire::[a-z]+::Proxy' >>"$dir/apt.conf"
}

# apt__ready DIR SUITE...: its lists are there
apt__ready() {
    [ -e "$1/ready" ] && return
    apt__config "$@"
    APT_CONFIG=$1/apt.conf apt-get -qq -o APT::Update::Error-Mode=any update && touch "$1/ready"
}

# apt__depends DIR PACKAGE PATTERN: those of its dependencies that the pattern knows, and theirs, itself first
apt__depends() {
    local name
    echo "$2"
    for name in $(APT_CONFIG=$1/apt.conf apt-cache show --no-all-versions "$2" | sed -n 's/^Depends: //p' |
        tr ',|' '\n\n' | awk -v pattern="$3" '$1 ~ pattern { print $1 }'); do
        apt__depends "$1" "$name" "$3"
    done
}

# apt__unpack DIR INTO PACKAGE...: without their scripts. The archives go when they are unpacked.
apt__unpack() {
    local dir=$1 into=$2 deb
    shift 2
    rm -rf "$dir/debs"
    mkdir -p "$dir/debs" "$into"
    (cd "$dir/debs" && APT_CONFIG=$dir/apt.conf apt-get -qq download "$@" >&2) || return
    for deb in "$dir"/debs/*.deb; do
        dpkg-deb -x "$deb" "$into" || return
    done
    rm -rf "$dir/debs"
}

# The first of the paths that is there: merged /usr or not.
first_of() {
    local path
    for path in "$@"; do
        [ ! -e "$path" ] || { echo "$path"; return; }
    done
    return 1
}

# kernel__settle UNPACKED INTO: what we use of a kernel's packages
kernel__settle() {
    local from=$1 into=$2 modules image version
    modules=$(first_of "$from"/usr/lib/modules/* "$from"/lib/modules/*) || return
    version=$(basename "$modules")
    image=$(first_of "$from"/boot/vmlinuz-"$version" "$modules"/vmlinuz) || return
    mkdir -p "$into/lib/modules"
    cp "$image" "$into/vmlinuz"
    mv "$modules" "$into/lib/modules/$version"
    depmod -b "$into" "$version" || return
    echo "$version" >"$into/version"
}

# One at a time: several tests may want the same.
packages__locked() {
    mkdir -p "$VM_DIR"
    (flock 9 && "$@") 9>"$VM_DIR/lock"
}

kernel__fetch() {
    local suite dir=$VM_DIR/kernel/$1 apt names
    [ ! -e "$dir/version" ] || return 0
    suite=$(kernel__suite "$1")
    apt=$VM_DIR/apt/$suite
    echo "vm: fetching Debian's kernel of $suite" >&2
    apt__ready "$apt" "$suite" || return
    names=$(apt__depends "$apt" linux-image-amd64 '^linux-(image|base|binary|modules)-[0-9]' | sort -u)
    rm -rf "$dir" "$dir.new"
    # shellcheck disable=SC2086 # a list of names
    apt__unpack "$apt" "$dir.new/root" $names && kernel__settle "$dir.new/root" "$dir.new" || return
    rm -rf "$dir.new/root" "$apt"
    mv "$dir.new" "$dir"
}

# A mirror may be away for a moment, or change between its lists and its packages: once more from the start.
packages__again() {
    "$@" || { sleep 10; rm -rf "$VM_DIR/apt"; "$@"; }
}

packages__kernel() {
    packages__locked packages__again kernel__fetch "$1" && echo "$VM_DIR/kernel/$1"
}

# QEMU with all it needs but a kernel, down to the C library: it runs on whatever this host is.
qemu__fetch() {
    local dir=$VM_DIR/qemu apt=$VM_DIR/apt/qemu names
    [ ! -e "$dir/ready" ] || return 0
    echo "vm: fetching QEMU of bookworm-backports" >&2
    apt__ready "$apt" bookworm bookworm-backports || return
    names=$(APT_CONFIG=$apt/apt.conf apt-get -qq -s -t bookworm-backports install qemu-system-x86 |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p')
    [ -n "$names" ] || return
    rm -rf "$dir" "$dir.new"
    # shellcheck disable=SC2086 # a list of names
    apt__unpack "$apt" "$dir.new" $names || return
    touch "$dir.new/ready"
    rm -rf "$apt"
    mv "$dir.new" "$dir"
}

packages__qemu() {
    packages__locked packages__again qemu__fetch && echo "$VM_DIR/qemu"
}

packages__forget() {
    packages__locked rm -rf "$VM_DIR/kernel" "$VM_DIR/qemu" "$VM_DIR/apt"
}
