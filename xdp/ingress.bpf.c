// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What an interface receives, counted at tc instead of XDP: later on the packet's way, and without any cost to its sender. */
#include "count_skb.h"

SEC("tc")
int wirewho_ingress(struct __sk_buff *skb)
{
	struct parsed p;

	skb__count(skb, &p);
	return PASS_ON;
}

char _license[] SEC("license") = "Dual BSD/GPL";
