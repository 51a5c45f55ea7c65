/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CAPTURE_H
#define WIREWHO_CAPTURE_H
/*
 * One capture: the meter redirects and the engine receives, or the meter copies and the copier reads; the sink encodes into
 * a spool, the spool's thread writes the file. At the end every frame that matched has left through one named counter:
 *
 *   seen = matched + each of REASONS in flow.h               (the XDP program, each interface)
 *   matched = each of SAMPLES in flow.h                      (the same)
 *   redirected = delivered + rx_dropped + rx_ring_full       (the kernel's sockets, each interface)
 *   delivered = put_back + put_back_failed                   (inline, each interface)
 *   delivered = in_flows + no_flow_room + each of REASONS    (tap, each interface: what the engine's threads counted)
 *   copied = delivered                                       (copy, each interface)
 *   delivered = written + filtered + past_count + output_dropped + output_failed
 *
 * and what is missing on a right side is printed as `unexplained`.
 */
#include <stdbool.h>
#include <stdint.h>
#include "af_xdp/engine.h"
#include "filter.h"
#include "owner.h"
#include "pcapng.h"
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
	enum receive_mode mode;
	struct chain chain;
	enum sample_mode sample;
	uint32_t rate, flow_rate; /* one in so many matching packets, flows; 0 and 1: all */
	uint32_t ring;     /* copy: bytes of ring buffer a CPU, a power of two; 0: as needed */
	bool force;        /* inline: even where another XDP program stands behind ours */
	const char *stats; /* where the summary is to be written as JSON; NULL: nowhere */
	enum bind_want bind;
	unsigned busy_poll; /* us; 0: by interrupts */
	unsigned queues;    /* serve at most so many of each interface; 0: all */
	uint32_t snaplen;   /* 1 to FRAME_MOST */
	uint64_t count;     /* end after so many packets; 0: never */
	uint64_t flows;     /* tap: that each thread counts at most; 0: 262144 */
	bool owners;        /* name the process of each packet */
	bool comments;      /* in a comment as well */
	bool verdict;       /* what the XDP program answered, with each packet */
	const struct capture_filter_opts *filter;
	struct rotate rotate; /* of zeros: one file */
};

/* Until a signal, the count, or an error. Returns the exit code; what went wrong was said, the summary printed. */
int capture__run(const struct capture_opts *opts);

/* ---- sink.c: from the engine into the file ---- */

/* What became of frames that a lane was handed. */
struct capture_lane {
	_Alignas(64) uint64_t committed; /* to the spool */
	uint64_t past_count;             /* came after the last packet of --count */
	uint64_t output_dropped;         /* the lane was full */
	uint64_t output_failed;          /* writing had failed */
	uint64_t missing;  /* dropped since the last committed one: told to the file's reader */
	uint8_t usual[48]; /* options of a packet of `usual_queue` of which nothing else is known */
	size_t usual_size;
	uint32_t usual_queue;
};

/* Which processes the present file has told its reader of: a cache, so a process may be told of again. */
#define CAPTURE_TOLD 4096
struct capture_told {
	uint32_t pid, file;
	uint64_t start;
	char comm[16];
};

/* What was said last of a process' packets: a cache. */
#define CAPTURE_SAYINGS 256
struct capture_saying {
	const struct process *process;
	enum owner_how how;
	uint32_t queue;
	uint64_t round; /* of capture_sink; 0: never to be said again */
	size_t size;
	uint8_t options[OWNER_COMMENT_SIZE + 64];
};

struct capture_sink {
	/* from here on the lanes' threads read only */
	struct spool *spool;
	struct capture_lane *lane;
	unsigned lanes, links;
	uint32_t snaplen, held; /* bytes of a frame that are written, and kept until then */
	uint64_t count;
	int enough_fd; /* readable once the count is reached */
	bool raw[LINKS_MAX];
	bool comments, has_verdict;
	/* from here on the writer's, but for `taken` */
	_Alignas(64) uint64_t taken;
	struct capture_filter *filter;
	struct capture_owner *owner; /* NULL: not asked for */
	struct capture_told *told;
	struct capture_saying *saying;
	uint64_t round; /* how often owners were learned */
	struct pcapng_verdict verdict;
	uint8_t *head; /* what each file begins with */
	size_t head_size;
	uint32_t file; /* number of the present one */
	uint64_t file_packets[LINKS_MAX], file_start;
	uint64_t boot; /* ns since 1970 */
	uint64_t missing, filtered, past_count;
	uint64_t by_how[OWNER_HOW_N];
};

/* Opens the file and writes its head. 0 or -errno (said). */
int capture_sink__open(struct capture_sink *s, const struct capture_opts *opts, unsigned lanes);
int capture_sink__close(struct capture_sink *s); /* 0 or -errno (said); fine on zeros */
struct frame_sink capture_sink__frames(struct capture_sink *s);

/* ---- losses.c: where every frame went ---- */

struct capture_link_losses {
	const char *ifname;
	struct tally tally;
	struct engine_stats stats;
	struct flow_sums flows; /* tap */
};

struct capture_losses {
	enum sample_mode sample;
	struct capture_link_losses link[LINKS_MAX];
	unsigned links;
	uint64_t written, filtered, past_count, output_dropped, output_failed;
	bool owners;
	uint64_t by_how[OWNER_HOW_N]; /* of the packets that were to be written */
	uint64_t owner_events_lost;
	unsigned long long files;
};

/* Sums the lanes' counters; the spool is finished. */
void capture_losses__output(struct capture_losses *l, const struct capture_sink *s);
void capture_losses__print(const struct capture_losses *l); /* to stderr */
/* The same as one JSON object. 0 or -errno (said). */
int capture_losses__write(const struct capture_losses *l, const char *path);
uint64_t capture_link_losses__matched(const struct capture_link_losses *k);

/* Statistics blocks for the end of the file, one a link. Returns bytes; *out is to be freed, NULL without memory. */
size_t capture_sink__statistics(const struct capture_losses *l, uint64_t start, uint64_t end,
				void **out);

/* ---- behind.c: who would see the packets after us ---- */

struct attachment;

/*
 * Frames that are put back do not pass the XDP programs behind ours on the same interface: a firewall there would be
 * bypassed. 0 when there is none, or with `force` (said); else -EBUSY (said).
 */
int capture_behind__check(const struct attachment *a, bool force);
/* While it runs: has one come there since? */
int capture_behind__check_again(const struct attachment *a, bool force);
#endif
