#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest's first process, out of the initramfs (busybox): the host's root over 9p, read only, under a layer of the
# guest's own memory that takes whatever is written; then inside.sh in it.
export PATH=/bin

die() {
    echo "vm: $*" >/dev/console
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
# shellcheck source=/dev/null # written by tests/vm/run: CHECKOUT, MODULES
. /parameters
for module in /modules/*; do
    insmod "$module" || die "cannot load $module"
done
mkdir -p /host /own /new
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || die "cannot mount the host's root"
mount -t tmpfs -o size=60% own /own
mkdir /own/upper /own/work
mount -t overlay -o lowerdir=/host,upperdir=/own/upper,workdir=/own/work root /new || die "cannot lay a layer over it"
umount /proc /sys /dev
exec switch_root /new "$CHECKOUT/tests/vm/inside.sh" "$CHECKOUT" "$MODULES"
