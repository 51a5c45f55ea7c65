#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest's first process once the root is there: makes it a usual Linux, runs the command in /run/vm/command, leaves
# its exit code in /run/vm/code and the kernel's log in /run/vm/dmesg, and switches the machine off.
checkout=$1 modules=$2
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb WW_GUEST=1

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock /run/vm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out /run/vm
mkdir -p /lib/modules
mount --bind "$modules" /lib/modules
ln -sf /proc/self/fd /dev/fd 2>/dev/null
echo wirewho-vm >/proc/sys/kernel/hostname
ip link set lo up
# shellcheck disable=SC2046 # a list
modprobe -a -q $(cat /sys/bus/pci/devices/*/modalias /sys/bus/virtio/devices/*/modalias)
for card in $(grep -l '^52:54:00:77:00:0' /sys/class/net/*/address); do # by their order on our command line
    name=$(basename "${card%/address}")
    ip link set "$name" name "card$(tail -c 2 "$card")"
done
cd "$checkout" || exit
bash /run/vm/command </dev/null >>/run/vm/stdout 2>>/run/vm/stderr
echo $? >/run/vm/code
dmesg >/run/vm/dmesg
sync
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
