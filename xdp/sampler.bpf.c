// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The sampler: the XDP program of a capture, in the meter's place and under its name. It selects frames, and hands them over or
 * copies them. It counts what becomes of them and no flows: who gets the frames can do that, on a CPU of its own.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <xdp/xdp_helpers.h>
#include "flow.h"
#include "frame.h"
#include "parse.h"
#include "table.h"
#include "match.h"

const volatile __u16 link_number = 0;
const volatile __u32 link_raw = 0; /* 1: no Ethernet header (tun, WireGuard) */
const volatile struct sampling sampling = {};
const volatile struct match match = {};

/* The part of an AF_XDP socket that says how many frames wait in its ring to be shown to its reader. */
struct xdp_ring {
	__u32 producer;
} __attribute__((preserve_access_index));

struct xsk_queue {
	__u32 cached_prod;
	struct xdp_ring *ring;
} __attribute__((preserve_access_index));

struct xdp_sock {
	struct xsk_queue *rx;
} __attribute__((preserve_access_index));

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak; /* since 6.2 */

/* Frames of a queue come one after another from a driver's poll, as native XDP promises. User space says so. */
__u32 by_poll SEC(".data.poll") = 0;

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* ARRIVALS a receive queue. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrivals SEC(".maps");

/* Inline: one a receive queue. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct credit);
} credits SEC(".maps");

/* Copy: a ring buffer for each CPU, so that no CPU waits for another. */
struct slice_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, struct slice_ring);
} slices SEC(".maps");

/* Run by libxdp's dispatcher at this place, and hand on to the next program when we pass. */
struct {
	__uint(priority, 50);
	__uint(XDP_PASS, 1);
} XDP_RUN_CONFIG(wirewho_meter);

/*
 * A clock costs as much as a tenth of the whole way, and so does a line that another CPU reads. What a driver takes up in one
 * poll has arrived before, and the kernel shows a socket's frames to its reader at the end of that poll. So only a frame before
 * which no others wait there is noted: its poll's first. It is one again if the kernel had no room for the one before.
 */
static __always_inline void note_arrival(__u32 queue, const void *socket)
{
	const struct xdp_sock *xs = bpf_rdonly_cast(socket,
						    bpf_core_type_id_kernel(struct xdp_sock));
	__u32 place = xs->rx->cached_prod, at = queue * ARRIVALS + place % ARRIVALS;
	__u64 *arrival;

	if (place != xs->rx->ring->producer)
		return;
	arrival = bpf_map_lookup_elem(&arrivals, &at);
	if (arrival)
		*arrival = bpf_ktime_get_ns();
}

/* The moment of arrival, in front of the frame; a driver without room for metadata goes without. */
static __always_inline void stamp(struct xdp_md *ctx, const struct frame *f, __u64 now)
{
	struct frame_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	meta->time = now;
	meta->magic = FRAME_META_MAGIC;
	meta->length = f->count.bytes;
}

static __always_inline int sampled_as(struct tally *t, enum sample what, const struct frame *f)
{
	count__add(&t->sample[what], &f->count);
	return XDP_PASS;
}

static __always_inline int redirect(struct xdp_md *ctx, struct tally *t, const struct frame *f,
				    const void *socket)
{
	sampled_as(t, SAMPLE_REDIRECTED, f);
	if (look_inside && *(volatile __u32 *)&by_poll)
		note_arrival(ctx->rx_queue_index, socket);
	else
		stamp(ctx, f, bpf_ktime_get_ns());
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

static __always_inline int tap(struct xdp_md *ctx, struct tally *t, const struct frame *f)
{
	__u32 queue = ctx->rx_queue_index;
	const void *socket = bpf_map_lookup_elem(&sockets, &queue);

	if (!socket)
		return sampled_as(t, SAMPLE_NO_SOCKET, f);
	return redirect(ctx, t, f, socket);
}

/* Only what can be put back is taken, and only while the engine has promised to. */
static __always_inline int inline_(struct xdp_md *ctx, struct tally *t, const struct frame *f)
{
	__u32 queue = ctx->rx_queue_index;
	const void *socket = bpf_map_lookup_elem(&sockets, &queue);
	struct credit *c = bpf_map_lookup_elem(&credits, &queue);

	if (f->count.bytes > sampling.most)
		return sampled_as(t, SAMPLE_TOO_LONG, f);
	if (!c || !socket)
		return sampled_as(t, SAMPLE_NO_SOCKET, f);
	if (c->used >= *(volatile __u64 *)&c->limit ||
	    bpf_ktime_get_coarse_ns() >= *(volatile __u64 *)&c->until)
		return sampled_as(t, SAMPLE_NO_CREDIT, f);
	__sync_fetch_and_add(&c->used, 1); /* generic XDP runs one queue on several CPUs */
	return redirect(ctx, t, f, socket);
}

static __always_inline int copy(struct xdp_md *ctx, __u32 cpu, struct tally *t,
				const struct frame *f)
{
	void *ring = bpf_map_lookup_elem(&slices, &cpu);
	__u32 n = sampling.slice;
	struct slice *s;

	if (!ring)
		return sampled_as(t, SAMPLE_COPY_LOST, f);
	s = bpf_ringbuf_reserve(ring, sizeof(*s) + sampling.slice, 0);
	if (!s)
		return sampled_as(t, SAMPLE_COPY_LOST, f);
	if (n > f->count.bytes)
		n = f->count.bytes;
	s->time = bpf_ktime_get_ns();
	s->length = f->count.bytes;
	s->caplen = n;
	s->link = link_number;
	s->queue = ctx->rx_queue_index;
	/* Signed: the verifier of older kernels (6.1) learns no least value from `n != 0`. */
	if ((__s32)n < 1 || n > sampling.slice || bpf_xdp_load_bytes(ctx, 0, s->data, n))
		s->caplen = 0;
	bpf_ringbuf_submit(
		s,
		BPF_RB_NO_WAKEUP); /* the reader looks by itself: a wakeup costs more than a copy */
	return sampled_as(t, SAMPLE_COPIED, f);
}

/* Both directions of a flow have the same number. */
static __always_inline __u32 flow_number(const struct parsed *p)
{
	const __u64 *w = p->flow.word;
	__u64 sum = (w[0] ^ w[2]) * table.seed[0] + (w[1] ^ w[3]) * table.seed[1] +
		    (p->flow.key.sport ^ p->flow.key.dport) * table.seed[2];

	return ((sum ^ (sum >> 32)) * table.seed[3]) >> 32;
}

static __always_inline int is_sampled(__u32 cpu, const struct parsed *p)
{
	struct cpu_state *state;

	if (sampling.flow_rate > 1 && flow_number(p) % sampling.flow_rate)
		return 0;
	if (sampling.rate < 2)
		return 1;
	state = bpf_map_lookup_elem(&cpus, &cpu);
	return state && state->matched++ % sampling.rate == 0;
}

/* Without a selection it takes whatever comes, and need know nothing of a frame. */
static __always_inline int takes_all(void)
{
	return !match.active && sampling.flow_rate < 2;
}

/* REASON_FLOW: it is selected. */
static __always_inline enum reason look(const struct frame *f, struct parsed *p)
{
	enum reason why;

	if (takes_all())
		return REASON_FLOW;
	why = link_raw ? parse__raw(f->data, f->end, link_number, p)
		       : parse__frame(f->data, f->end, -1, link_number, p);
	return why == REASON_FLOW && !match__test(p, &match) ? REASON_UNMATCHED : why;
}

SEC("xdp.frags")
int wirewho_meter(struct xdp_md *ctx)
{
	struct frame f = frame__of(ctx);
	__u32 cpu = bpf_get_smp_processor_id();
	struct tally *t = table__tally(cpu, link_number);
	struct parsed p;
	enum reason why;

	if (!t)
		return XDP_PASS;
	count__add(&t->seen, &f.count);
	why = look(&f, &p);
	if (why != REASON_FLOW) {
		tally__reason(t, why, &f.count);
		return XDP_PASS;
	}
	if (!is_sampled(cpu, &p))
		return sampled_as(t, SAMPLE_SKIPPED, &f);
	if (sampling.mode == SAMPLE_MODE_TAP)
		return tap(ctx, t, &f);
	if (sampling.mode == SAMPLE_MODE_INLINE)
		return inline_(ctx, t, &f);
	return copy(ctx, cpu, t, &f);
}

char _license[] SEC("license") = "Dual BSD/GPL";
