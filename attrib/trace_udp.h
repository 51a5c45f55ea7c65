/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_UDP_H
#define WIREWHO_TRACE_UDP_H
/* What the UDP tracer's programs keep of each socket, and tell. */
#include "trace.h"

/* Bytes are payload, without UDP header; a datagram that was cut up (UDP_SEGMENT, GRO) counts as its pieces. */
struct udp_counts {
	struct count sent;     /* handed to the network */
	struct count received; /* arrived for this socket, dropped ones included */
	struct count read;     /* receive calls that returned data, and what they returned */
	__u64 dropped;         /* of the received: the socket had no room */
	__u64 send_errors;     /* send calls that failed; EAGAIN is none */
	__u64 receive_errors;
};
flow_assert(sizeof(struct udp_counts) == 72, "udp_counts: no holes");

/* CLOCK_MONOTONIC ns; 0: never. */
struct udp_times {
	__u64 begun; /* the first we saw of the socket */
	__u64 connected;
	__u64 first_sent, last_sent;
	__u64 first_received, last_received;
};

enum udp_kind {
	UDP_CLOSED = 1, /* the socket is closed: sums of its life */
	UDP_OPEN,       /* still open at the end: sums so far */
	UDP_INTERVAL,   /* what was counted since the interval before */
};

struct trace_udp_event {
	__u64 time;
	__u64 cookie;
	__u64 netns; /* cookie */
	struct flow_key
		key; /* source is the socket's own end, destination its one peer; zero: wildcard, unknown, several */
	struct who who;
	__u8 kind;    /* enum udp_kind */
	__u8 how;     /* enum owner_how */
	__u8 several; /* more than one peer */
	__u8 pad;
	__u32 error; /* errno of the last call that failed */
	struct udp_times times;
	struct udp_counts counts;
};
flow_assert(sizeof(struct trace_udp_event) == 24 + 40 + 40 + 8 + 48 + 72,
	    "trace_udp_event: no holes");

#define TRACE_UDP_PORTS 8
/* Constants of the load. */
struct trace_udp_choice {
	__u16 port[TRACE_UDP_PORTS]; /* host order, either end */
	__u32 ports;                 /* how many; 0: any */
};
#endif
