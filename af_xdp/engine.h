/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ENGINE_H
#define WIREWHO_ENGINE_H
/*
 * The engine: one thread a receive queue (of a tap pinned, where there is a CPU for it) takes redirected frames in batches
 * and hands each to a sink. Threads are called lanes and numbered from 0 in the order of their making, so that a sink can
 * keep something for each without a lock.
 *
 * A clean end loses nothing: detach the program first, then engine__stop() (each lane empties its ring and ends), then
 * engine__stats(), then engine__close(). With credit (inline) engine__stop() comes first: it takes the credit away, so
 * that packets pass, waits for what was redirected before, and puts it back into the stack.
 */
#include <stdbool.h>
#include <stdint.h>
#include "flow_counts.h"
#include "socket.h"

struct credit;

/* A frame as it came from the wire. `data` is only there during the call. */
struct frame {
	const uint8_t *data;
	uint32_t caplen; /* bytes at data; at most FRAME_MOST */
	uint32_t length; /* bytes on the wire, without FCS */
	uint64_t time;   /* CLOCK_REALTIME ns: arrival as the XDP program saw it, else receipt */
	uint16_t link;
	uint16_t queue;
};

#define FRAME_MOST (256u << 10)

/* Called from the lanes' threads. */
struct frame_sink {
	void *to;
	void (*frame)(void *to, unsigned lane, const struct frame *f);
	/* A batch of up to 64 frames is done, and the kernel has their memory back. */
	void (*batch)(void *to, unsigned lane);
};

struct engine_opts {
	enum bind_want bind;
	uint32_t frames; /* a queue, a power of two up to half of ARRIVALS; 0: 4096 */
	uint32_t
		frame_size; /* a power of two up to the page size; 0: 2048, or 4096 where the MTU takes it */
	unsigned
		busy_poll; /* us: the lanes never sleep, and run the driver's receive half; 0: they do */
	uint32_t
		flows; /* frames are counted by flow, of so many at most in each lane; 0: not counted */
	struct frame_sink sink;
};

struct engine_link {
	const char *ifname;
	const char *driver; /* for the report */
	uint16_t link;
	bool generic; /* how the XDP program is attached: generic XDP has no zero-copy */
	bool raw;     /* no Ethernet header */
	unsigned mtu;
	unsigned queues;          /* 0 to queues - 1 are served */
	int sockets_fd;           /* XSKMAP, one entry a queue */
	const uint64_t *arrivals; /* ARRIVALS of flow.h a queue; NULL: in front of the frames */
	struct credit *
		credit; /* inline: one a queue, and frames are put back into the stack; NULL: they end here */
};

/* Sums over the queues of one link. The kernel's fields overlap: never add rx_fill_ring_empty to rx_dropped. */
struct engine_stats {
	uint64_t delivered;  /* frames handed to the sink */
	uint64_t rx_dropped; /* no free frame, or too long */
	uint64_t rx_ring_full;
	uint64_t put_back;        /* inline: of the delivered, those that the stack has again */
	uint64_t put_back_failed; /* inline: and those that the kernel would not take */
	uint64_t
		credit_recovered; /* inline: frames that never came; they are among the drops above */
	uint64_t rx_fill_ring_empty; /* how often the kernel found no free frame */
	uint64_t rx_invalid;         /* descriptors of ours that the kernel refused */
};

struct engine;

int engine__open(struct engine **out, const struct engine_opts *opts);
void engine__close(struct engine *e); /* NULL is fine */

/*
 * Binds a socket to each queue of a link, and says in one line what it came to. To be called when the program is
 * attached: some drivers refuse zero-copy before. Returns 0 or -errno (said).
 */
int engine__add(struct engine *e, const struct engine_link *link);
unsigned engine__lanes(const struct engine *e);

/* Starts the lanes, then places the sockets in the maps: from now on frames come. 0 or -errno (said). */
int engine__start(struct engine *e);
void engine__stop(struct engine *e); /* empties the rings; fine when not started */

/* Readable once a lane ended by itself, because its interface went away (said). */
int engine__event_fd(const struct engine *e);
int engine__error(const struct engine *e); /* 0, or -errno of such a lane */

/* Exact after engine__stop(). */
void engine__stats(const struct engine *e, uint16_t link, struct engine_stats *out);
/* What the lanes of a link have counted: all that was delivered. */
void engine__flows(const struct engine *e, uint16_t link, struct flow_sums *out);
#endif
