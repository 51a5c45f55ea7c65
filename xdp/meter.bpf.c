// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The meter: parse and count. One instance is loaded for each watched interface; they share their maps. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>
#include "flow.h"
#include "frame.h"
#include "parse.h"
#include "table.h"
#include "match.h"

const volatile __u16 link_number = 0;
const volatile __u32 link_raw = 0;     /* 1: no Ethernet header (tun, WireGuard) */
const volatile __u32 match_counts = 0; /* 1: what does not match is not counted as a flow */
const volatile struct match match = {};

/* Run by libxdp's dispatcher at this place, and hand on to the next program when we pass. */
struct {
	__uint(priority, 50);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(wirewho_meter);

/*
 * The short way of a plain packet whose flow stands where its hash says: nearly all of them, and no other way's values in
 * its registers and on its stack. 0: nothing was done.
 */
static __always_inline int count_plain(struct xdp_md *ctx)
{
	const void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 cpu = bpf_get_smp_processor_id();
	struct count n = { .packets = 1 };
	struct plain4 p;
	struct tally *t;

	if (look_inside && !frame__is_whole(ctx))
		return 0;
	if (!parse__plain4(data, end, link_number, &p) || turn__any())
		return 0;
	n.bytes = look_inside ? ctx->data_end - ctx->data : bpf_xdp_get_buff_len(ctx);
	if (!table__plain4(cpu, &p, &n))
		return 0;
	t = table__tally(cpu, link_number);
	if (t)
		count__add(&t->seen, &n);
	return 1;
}

/* Nothing but counting: what most runs do. */
static __noinline int count_only(struct xdp_md *ctx)
{
	struct frame f = frame__of(ctx);
	__u32 cpu = bpf_get_smp_processor_id();
	struct tally *t = table__tally(cpu, link_number);
	struct parsed p;
	struct addition a;
	enum reason why;

	if (!t)
		return XDP_PASS;
	count__add(&t->seen, &f.count);
	why = parse__frame(f.data, f.end, -1, link_number, &p);
	if (why != REASON_FLOW) {
		tally__reason(t, why, &f.count);
		return XDP_PASS;
	}
	turn__mark(&p.flow);
	a = (struct addition){ .flow = &p.flow, .count = f.count, .marks = p.marks };
	if (*(volatile __u32 *)&ctl.later) /* very many flows: see table.h */
		table__later(cpu, &a);
	else
		table__count_slot(t, cpu, &a);
	return XDP_PASS;
}

static __noinline int count_selected(struct xdp_md *ctx)
{
	struct frame f = frame__of(ctx);
	__u32 cpu = bpf_get_smp_processor_id();
	struct tally *t = table__tally(cpu, link_number);
	struct parsed p;
	enum reason why;

	if (!t)
		return XDP_PASS;
	count__add(&t->seen, &f.count);
	why = link_raw ? parse__raw(f.data, f.end, link_number, &p)
		       : parse__frame(f.data, f.end, -1, link_number, &p);
	if (why == REASON_FLOW && match_counts && !match__test(&p, &match))
		why = REASON_UNMATCHED;
	if (why != REASON_FLOW) {
		tally__reason(t, why, &f.count);
		return XDP_PASS;
	}
	turn__mark(&p.flow);
	table__count(t, cpu,
		     &(struct addition){ .flow = &p.flow, .count = f.count, .marks = p.marks });
	return XDP_PASS;
}

static __always_inline int meter(struct xdp_md *ctx)
{
	if (link_raw || match_counts || table.hash)
		return count_selected(ctx);
	return count_plain(ctx) ? XDP_PASS : count_only(ctx);
}

SEC("xdp.frags")
int wirewho_meter(struct xdp_md *ctx)
{
	return meter(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
