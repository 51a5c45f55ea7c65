// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The meter: parse, count, choose. One instance is loaded for each watched interface; they share their maps. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>
#include "flow.h"
#include "parse.h"
#include "table.h"
#include "match.h"

const volatile __u16 link_number = 0;
const volatile __u32 link_raw = 0;     /* 1: no Ethernet header (tun, WireGuard) */
const volatile __u32 match_counts = 0; /* 1: what does not match is not counted as a flow */
const volatile __u32 sample_mode = SAMPLE_MODE_NONE;
const volatile struct match match = {};
const volatile __u32 look_inside = 0; /* 1: the kernel has bpf_cast_to_kern_ctx (6.2) */

/* The part of the kernel's own context that says whether a frame lies in several buffers (kernel commit 2e88d4ff0301). */
struct xdp_buff {
	__u32 flags;
} __attribute__((preserve_access_index));
#define XDP_BUFF_HAS_FRAGS 1

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* Run by libxdp's dispatcher at this place, and hand on to the next program when we pass. */
struct {
	__uint(priority, 50);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(wirewho_meter);

struct frame {
	const void *data, *end;
	struct count count;
};

/* bpf_xdp_get_buff_len() costs a call on every packet; nearly all lie in one buffer. */
static __always_inline __u64 frame__length(struct xdp_md *ctx)
{
	if (look_inside &&
	    !(((struct xdp_buff *)bpf_cast_to_kern_ctx(ctx))->flags & XDP_BUFF_HAS_FRAGS))
		return ctx->data_end - ctx->data;
	return bpf_xdp_get_buff_len(ctx);
}

static __always_inline struct frame frame__of(struct xdp_md *ctx)
{
	struct frame f = {
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.count = { .packets = 1, .bytes = frame__length(ctx) },
	};

	return f;
}

/* The moment of arrival, in front of the frame; a driver without room for metadata goes without. */
static __always_inline void stamp(struct xdp_md *ctx, const struct frame *f)
{
	struct frame_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	meta->time = bpf_ktime_get_ns();
	meta->magic = FRAME_META_MAGIC;
	meta->length = f->count.bytes;
}

static __always_inline int tap(struct xdp_md *ctx, struct tally *t, const struct frame *f)
{
	__u32 queue = ctx->rx_queue_index;

	if (!bpf_map_lookup_elem(&sockets, &queue)) {
		count__add(&t->sample[SAMPLE_NO_SOCKET], &f->count);
		return XDP_PASS;
	}
	count__add(&t->sample[SAMPLE_REDIRECTED], &f->count);
	stamp(ctx, f);
	return bpf_redirect_map(&sockets, queue, XDP_PASS);
}

static __always_inline int choose(struct xdp_md *ctx, struct tally *t, const struct frame *f,
				  const struct parsed *p)
{
	if (sample_mode == SAMPLE_MODE_NONE)
		return XDP_PASS;
	if (!match_counts && !match__test(p, &match))
		return XDP_PASS;
	if (sample_mode == SAMPLE_MODE_TAP)
		return tap(ctx, t, f);
	return XDP_PASS;
}

static __always_inline int meter(struct xdp_md *ctx)
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
		if (why < REASON_N)
			count__add(&t->reason[why], &f.count);
		return XDP_PASS;
	}
	table__count(t, cpu,
		     &(struct addition){ .flow = &p.flow, .count = f.count, .marks = p.marks });
	return choose(ctx, t, &f, &p);
}

SEC("xdp.frags")
int wirewho_meter(struct xdp_md *ctx)
{
	return meter(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
