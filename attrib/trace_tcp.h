/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_TCP_H
#define WIREWHO_TRACE_TCP_H
/* What the TCP tracer's programs tell: state changes of full sockets, and what a socket counted when it is closed. */
#include "trace.h"

/* States as the kernel numbers them (RFC 9293's names). */
#define TCP_STATES(X) \
	X(1, ESTABLISHED) \
	X(2, SYN_SENT) \
	X(3, SYN_RECV) \
	X(4, FIN_WAIT1) \
	X(5, FIN_WAIT2) \
	X(6, TIME_WAIT) \
	X(7, CLOSE) \
	X(8, CLOSE_WAIT) \
	X(9, LAST_ACK) \
	X(10, LISTEN) \
	X(11, CLOSING)

enum tcp_state {
#define X(number, name) STATE_##name = number,
	TCP_STATES(X)
#undef X
		STATE_N = 12,
	STATE_REQUEST = 12 /* the kernel's own for SYN_RECV without a full socket */
};

enum tcp_role { TCP_ROLE_UNKNOWN, TCP_ROLE_CONNECTED, TCP_ROLE_ACCEPTED, TCP_ROLE_LISTENING };

enum trace_tcp_kind {
	TRACE_TCP_STATE = 1, /* before -> after */
	TRACE_TCP_REQUEST,   /* a SYN has come: half open, no full socket yet */
	TRACE_TCP_SUMS,      /* the full socket has ended: what it counted */
};

/* What the socket itself counted in its life: segments as on the wire (GSO and GRO taken apart), payload without headers. */
struct trace_tcp_sums {
	__u64 sent_bytes;     /* retransmissions included */
	__u64 repeated_bytes; /* of them */
	__u64 received_bytes; /* in order, each once */
	__u32 sent_segments, received_segments;
	__u32 sent_data, received_data; /* segments with payload */
	__u32 repeated;                 /* segments sent again */
	__u32 rtt_us;                   /* smoothed; 0: never measured */
	__u32 synacks; /* of an accepted connection, sent by its listener: not in sent_segments; its SYN is counted */
	__u32 pad;
};
flow_assert(sizeof(struct trace_tcp_sums) == 56, "trace_tcp_sums: no holes");

struct trace_tcp_event {
	__u64 time;          /* CLOCK_MONOTONIC ns */
	__u64 since;         /* when `before` was entered; 0: before we came */
	__u64 begun;         /* when the connection was; 0: before we came */
	__u64 cookie;        /* of the socket; 0 for a request */
	__u64 netns;         /* cookie */
	struct flow_key key; /* source is the socket's own end; link 0 */
	struct who who;      /* the owner, as in the socket's storage */
	__u8 kind;           /* enum trace_tcp_kind */
	__u8 how;            /* enum owner_how */
	__u8 before, after;  /* enum tcp_state */
	__u8 role;           /* enum tcp_role */
	__u8 untold; /* `before` was entered out of this state, and that was not told: 0: it was */
	__u8 timewait; /* a time-wait socket in this state may stand for the full one that has gone; 0: none does */
	__u8 reset;  /* enum tcp_reset bits */
	__u32 error; /* errno of the socket: how a connection failed */
	__u32 pad;
	struct trace_tcp_sums sums; /* kind SUMS */
};
flow_assert(sizeof(struct trace_tcp_event) == 40 + 40 + 40 + 16 + 56, "trace_tcp_event: no holes");

enum tcp_reset { TCP_RESET_SENT = 1, TCP_RESET_RECEIVED = 2 };

/* One socket without a full one behind it, as the iterator finds it. */
struct trace_tcp_small {
	struct flow_key key;
	__u64 netns;
	__u8 state; /* STATE_REQUEST, or of a time-wait socket STATE_FIN_WAIT2 or STATE_TIME_WAIT */
	__u8 pad[7];
};
flow_assert(sizeof(struct trace_tcp_small) == 56, "trace_tcp_small: no holes");

/* Where one that the filter takes has listened. */
struct trace_tcp_place {
	__u64 netns; /* cookie */
	__u32 port;  /* host order */
	__u32 pad;
};
flow_assert(sizeof(struct trace_tcp_place) == 16, "trace_tcp_place: no holes");

/* Which lines are wanted. */
enum tcp_line {
	TCP_LINE_STATES = 1,
	TCP_LINE_CONNECT = 2,
	TCP_LINE_ACCEPT = 4,
	TCP_LINE_CLOSE = 8
};

/* What is asked for, as constants of the load. */
#define TRACE_TCP_PORTS 8
struct trace_tcp_choice {
	__u16 port[TRACE_TCP_PORTS]; /* host order, either end */
	__u32 ports;                 /* how many; 0: any */
	__u32 lines;                 /* enum tcp_line bits */
};
#endif
