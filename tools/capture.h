/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CAPTURE_H
#define WIREWHO_CAPTURE_H
/*
 * One capture: the meter redirects, the engine receives, the sink encodes into a spool, the spool's thread writes the file.
 * At the end every redirected frame has left through one named counter:
 *
 *   matched = redirected + no_socket                         (the XDP program, each interface)
 *   redirected = delivered + rx_dropped + rx_ring_full       (the kernel's sockets, each interface)
 *   delivered = written + past_count + output_dropped + output_failed
 *
 * and what is missing on a right side is printed as `unexplained`.
 */
#include <stdbool.h>
#include <stdint.h>
#include "af_xdp/engine.h"
#include "spool.h"
#include "xdp/attach.h"
#include "xdp/flow.h"
#include "xdp/match.h"

struct capture_opts {
	const char *const *ifname;
	unsigned links;
	const char *path; /* "-": stdout */
	const struct match *match;
	const char *expression; /* the same, for the reader of the file */
	enum xdp_mode mode;
	enum bind_want bind;
	unsigned queues;  /* serve at most so many of each interface; 0: all */
	uint32_t snaplen; /* 1 to FRAME_MOST */
	uint64_t count;   /* end after so many packets; 0: never */
	uint64_t flows;   /* of the count table, a CPU; 0: 8192 */
	bool hash;
};

/* Until a signal, the count, or an error. Returns the exit code; what went wrong was said, the summary printed. */
int capture__run(const struct capture_opts *opts);

/* ---- capture_sink.c: from the engine into the file ---- */

/* What became of frames that a lane was handed. */
struct capture_lane {
	_Alignas(64) uint64_t committed; /* to the spool */
	uint64_t past_count;             /* came after the last packet of --count */
	uint64_t output_dropped;         /* the lane was full */
	uint64_t output_failed;          /* writing had failed */
	uint64_t missing; /* dropped since the last committed one: told to the file's reader */
};

struct capture_sink {
	struct spool *spool;
	struct capture_lane *lane;
	unsigned lanes;
	uint32_t snaplen;
	uint64_t count, taken;
	int enough_fd; /* readable once the count is reached */
};

/* Opens the file and writes its head. 0 or -errno (said). */
int capture_sink__open(struct capture_sink *s, const struct capture_opts *opts, unsigned lanes);
int capture_sink__close(struct capture_sink *s); /* 0 or -errno (said); fine on zeros */
struct frame_sink capture_sink__frames(struct capture_sink *s);

/* ---- capture_losses.c: where every frame went ---- */

struct capture_link_losses {
	const char *ifname;
	struct tally tally;
	struct engine_stats stats;
};

struct capture_losses {
	struct capture_link_losses link[LINKS_MAX];
	unsigned links;
	uint64_t written, past_count, output_dropped, output_failed;
};

/* Sums the lanes' counters; the spool is finished. */
void capture_losses__output(struct capture_losses *l, const struct capture_sink *s);
void capture_losses__print(const struct capture_losses *l); /* to stderr */
uint64_t capture_link_losses__matched(const struct capture_link_losses *k);

/* Statistics blocks for the end of the file, one a link. Returns bytes; *out is to be freed, NULL without memory. */
size_t capture_sink__statistics(const struct capture_losses *l, uint64_t start, uint64_t end,
				void **out);
#endif
