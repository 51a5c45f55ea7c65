/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PCAPNG_READER_H
#define WIREWHO_PCAPNG_READER_H
/*
 * What libpcap leaves out of a pcapng file: the packets' own options, and processes. Fed with the file's bytes in pieces
 * of any size, beside the reader that reads the packets. Any bytes do no harm: at the first that are no pcapng it falls
 * silent for good. Pure: no I/O.
 */
#include "pcapng.h"

struct pcapng_reader;

/* A packet, in the order of the file. Everything is only there during the call. */
struct pcapng_note {
	uint32_t length;     /* on the wire */
	uint32_t flags;      /* enum pcapng_flags, 0: none */
	uint32_t pid;        /* 0: none */
	const char *comment; /* the first that begins with "pid=", not terminated; or NULL */
	size_t comment_length;
};

struct pcapng_listener {
	void *to;
	void (*packet)(void *to, const struct pcapng_note *note);
	/* Its texts end with a zero; NULL where there is none. */
	void (*process)(void *to, const struct pcapng_process *process);
};

int pcapng_reader__open(struct pcapng_reader **out, const struct pcapng_listener *listener);
void pcapng_reader__close(struct pcapng_reader *r); /* NULL is fine */
void pcapng_reader__feed(struct pcapng_reader *r, const void *bytes, size_t n);
#endif
