/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PCAPNG_H
#define WIREWHO_PCAPNG_H
/*
 * The blocks of a pcapng file, encoded into memory: no I/O, so that packet threads can encode in place. Byte order is
 * the host's, times are ns since 1970. Format: draft-ietf-opsawg-pcapng.
 *
 * Each encoder returns the block's bytes, a multiple of 4, or 0 when `room` is too small or a part cannot be said in
 * the format (then nothing was written). A block starts with its type and its length, so that a row of blocks can be walked.
 */
#include <stddef.h>
#include <stdint.h>

/* Option codes; their numbers mean something else in each kind of block. */
enum pcapng_code {
	PCAPNG_COMMENT = 1, /* any block: text */
	PCAPNG_SHB_OS = 3,  /* text */
	PCAPNG_SHB_USERAPPL = 4,
	PCAPNG_IF_NAME = 2,
	PCAPNG_IF_TSRESOL = 9,    /* one byte: 9 for ns */
	PCAPNG_IF_FILTER = 11,    /* a zero byte, then text */
	PCAPNG_EPB_DROPCOUNT = 4, /* u64 */
	PCAPNG_EPB_QUEUE = 6,     /* u32 */
	PCAPNG_ISB_STARTTIME = 2, /* pcapng__time() */
	PCAPNG_ISB_ENDTIME = 3,
	PCAPNG_ISB_IFRECV = 4, /* u64, all below */
	PCAPNG_ISB_IFDROP = 5,
	PCAPNG_ISB_FILTERACCEPT = 6,
	PCAPNG_ISB_OSDROP = 7,
	PCAPNG_ISB_USRDELIV = 8,
};

struct pcapng_option {
	uint16_t code;
	uint16_t length;
	const void *value;
};

struct pcapng_options {
	const struct pcapng_option *item;
	unsigned n;
};

struct pcapng_packet {
	uint32_t interface; /* in the order of the interface blocks, from 0 */
	uint64_t time;
	uint32_t caplen; /* bytes at data */
	uint32_t length; /* bytes on the wire */
	const void *data;
	struct pcapng_options options;
};

#define PCAPNG_LINK_ETHERNET 1
#define PCAPNG_LINK_RAW 101

struct pcapng_option pcapng__text(uint16_t code, const char *text);

/* A time as an option's value wants it: the high half first. */
struct pcapng_time {
	uint32_t high, low;
};
struct pcapng_time pcapng__time(uint64_t ns);

size_t pcapng__section(void *to, size_t room, struct pcapng_options options);
size_t pcapng__interface(void *to, size_t room, uint16_t link_type, uint32_t snaplen,
			 struct pcapng_options options);
size_t pcapng__packet(void *to, size_t room, const struct pcapng_packet *p);
/* What pcapng__packet() would return with room enough. */
size_t pcapng__packet_size(const struct pcapng_packet *p);
size_t pcapng__statistics(void *to, size_t room, uint32_t interface, uint64_t time,
			  struct pcapng_options options);

/* Bytes of the block at `block`, which must be one of ours. */
uint32_t pcapng__block_size(const void *block);
#endif
