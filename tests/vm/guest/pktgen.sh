#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 180
# The kernel's own packet generator over a veth, native and generic: 10 000 flows, and as many packets as pktgen says that
# it sent, WW_PKTGEN or 50 000.
. "$(dirname "$0")/../../net/lib.sh"
. "$(dirname "$0")/cards.bash"
. "$(dirname "$0")/pktgen.bash"

COUNT=${WW_PKTGEN:-50000}
modprobe pktgen || skip "this kernel has no pktgen"
net__ns "$SRV"
net__ns "$CLI"
net__veth "$SRV" $SRV_IF "$CLI" $CLI_IF 1
must ip -n "$CLI" link set $CLI_IF up
must ip -n "$SRV" link set $SRV_IF up
net__wait "$SRV" $SRV_IF
pktgen__counted native native "$COUNT"
if pktgen__holds_on; then
    echo "generic: not tried: this kernel's pktgen holds on to the packets that it sends"
else
    pktgen__counted generic generic "$COUNT"
fi
exit 0
