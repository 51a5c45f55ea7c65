#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 60
# The kernel's own packet generator from one card to the other, virtio_net and igb, in both directions: 10 000 flows, and
# each packet that the receiving card took, counted by XDP in its driver, whichever of a virtio_net's queues it came by.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/cards.bash"
. "$(dirname "$0")/pktgen.bash"

COUNT=15000 RATE=5000

exchange() {
    local other=$SRV other_if=$SRV_IF
    SRV=$CLI SRV_IF=$CLI_IF CLI=$other CLI_IF=$other_if
}

modprobe pktgen || skip "this kernel has no pktgen"
cards__pair
pktgen__counted "virtio_net to igb" native $COUNT $RATE
exchange
pktgen__counted "igb to virtio_net" native $COUNT $RATE
queues=$(srv ls "/sys/class/net/$SRV_IF/queues" | grep -c '^rx-')
used=$(srv ethtool -S "$SRV_IF" | grep -cE '^ *rx(_queue_)?[0-9]+_packets: [1-9]')
is "queues of the virtio_net that received" "$used" "$queues"
echo "igb to virtio_net: by $queues queues"
exchange
exit 0
