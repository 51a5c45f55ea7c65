/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_GENERATOR_H
#define WIREWHO_GENERATOR_H
/*
 * Sends frames out of a veth end as fast as one CPU can, and says exactly how many: BPF_PROG_TEST_RUN with live frames
 * (kernel commit b530e9e1063e). No socket, no stack and no copy: the frames go from a page pool straight into the
 * other end's ring, whose receive half (NAPI, XDP) then runs on the sender's CPU, in the same thread.
 *
 * Flow n differs from flow 0 in the source address only: 10.0.0.0 + n, or fd77::a00:0 + n. The order is a walk by a
 * constant step with the full period: each of N flows once in N frames, and neighbours in time are far apart in number.
 * With 2^32 flows none comes twice. By Zipf's law the order is 262 144 draws, the same in every run, over and over. Checksums
 * are not valid, and the frames are addressed to no real station: they are for programs, and a stack drops them.
 */
#include <stdbool.h>
#include <stdint.h>

struct generator;

struct generator_opts {
	const char *ifname; /* in the current network namespace */
	uint64_t flows;     /* 1 to 2^32 */
	unsigned size;      /* bytes of a frame, without FCS */
	bool imix; /* instead of size: 60 (74 for TCP over IPv6), 590 and 1514 bytes, seven, four and one of twelve */
	bool ip6, udp; /* else IPv4 and TCP */
	double zipf; /* 0: every flow alike; else the exponent by which a flow's share falls with its rank */
	uint64_t rate; /* frames a second at most; 0: as fast as it goes */
	bool alone;    /* drop each frame instead of sending it: the generator's own speed */
	unsigned part,
		parts; /* of several that send at once: this one's number, and how many; 0: it is alone */
};

/*
 * CPU seconds of all CPUs together: the first three as the kernel samples them; busy: in anything but idling or another
 * machine's turn.
 */
struct spent {
	double user, system, softirq, busy;
};
void spent__now(struct spent *now);
void spent__since(const struct spent *start, struct spent *out);

struct generated {
	uint64_t made;      /* frames */
	uint64_t sent;      /* frames that the interface took */
	uint64_t bytes;     /* of those; where sizes are mixed, of all that were made */
	uint64_t refused;   /* the ring at the other end was full */
	struct spent spent; /* by the whole host meanwhile */
	double seconds;
};

/* The frame of flow 0, as long as asked->size; the caller's room is at least that long, and zeroed. */
void generator__frame(unsigned char *frame, const struct generator_opts *asked);
/* Where the address of a flow stands in the frame, and the step of the walk through the flows. */
unsigned generator__place(const struct generator_opts *asked);
uint64_t generator__step(uint64_t flows);
#define GENERATOR_FIRST_FLOW 0x0a000000u
#define GENERATOR_FRAME_MOST \
	3400 /* a live frame's page also holds its headroom and its description */

/* Returns 0 or -errno; the reason was said. */
int generator__open(struct generator **out, const struct generator_opts *asked);
void generator__close(struct generator *g);

/*
 * Until so many frames are made, so many seconds are over (0: no limit), or a signal comes; goes on in the walk where the
 * call before ended. Fails with -EPIPE, when made is not sent + refused. 0 or -errno (said); *out is set in either case.
 * One of several parts counts what it made only: what was sent, the interface knows for all of them together.
 */
int generator__send(struct generator *g, uint64_t frames, double seconds, struct generated *out);

/* The calling thread runs on this CPU only. 0 or -errno (said). */
int generator__pin(unsigned cpu);

/*
 * The sum of an interface's driver counters (`ethtool -S`) whose names end so: veth has "_xdp_xmit" and
 * "_xdp_xmit_errors" at the sending end, "_xdp_packets" and "_xdp_bytes" at the receiving one. 0, or -errno (said).
 */
int driver__counter(const char *ifname, const char *ending, uint64_t *out);
#endif
