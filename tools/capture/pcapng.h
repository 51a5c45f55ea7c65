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
#include <stdbool.h>
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
	PCAPNG_EPB_FLAGS = 2,     /* u32, enum pcapng_flags */
	PCAPNG_EPB_DROPCOUNT = 4, /* u64 */
	PCAPNG_EPB_QUEUE = 6,     /* u32 */
	PCAPNG_EPB_VERDICT = 7,   /* struct pcapng_verdict */
	PCAPNG_EPB_PROCESS = 8,   /* epb_processid_threadid: two u32; thread 0 is "not known" */
	PCAPNG_ISB_STARTTIME = 2, /* pcapng__time() */
	PCAPNG_ISB_ENDTIME = 3,
	PCAPNG_ISB_IFRECV = 4, /* u64, all below */
	PCAPNG_ISB_IFDROP = 5,
	PCAPNG_ISB_FILTERACCEPT = 6,
	PCAPNG_ISB_OSDROP = 7,
	PCAPNG_ISB_USRDELIV = 8,
};

/* Of the Process Information Block; all its numbers are little-endian wherever it stands. */
enum pcapng_process_code {
	PCAPNG_PROCESS_NAME = 2,
	PCAPNG_PROCESS_PATH = 3,
	PCAPNG_PROCESS_PARENT = 5, /* u32 */
	PCAPNG_PROCESS_UID = 6,    /* u32 */
	PCAPNG_PROCESS_USER = 7,
	PCAPNG_PROCESS_START = 9, /* u64 */
};

#define PCAPNG_PEN_WIRESHARK 32622
#define PCAPNG_ENTRY_PROCESS 3

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
	const void *encoded; /* or the options as pcapng__options() has put them; NULL: none */
	size_t encoded_size;
};

enum pcapng_flags { PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2, PCAPNG_DIRECTION = 3 };

/* What an XDP program answered (enum xdp_action). Nine bytes, as the format has it. */
#define PCAPNG_VERDICT_XDP 2
struct pcapng_verdict {
	uint8_t type;
	uint8_t action[8]; /* a u64 of the section's byte order */
};
struct pcapng_verdict pcapng__xdp_verdict(uint64_t action);

/*
 * A process that packets refer to by its pid (PCAPNG_EPB_PROCESS). Written as the body of a Process Information Block in
 * a Custom Block of the Wireshark Foundation (wiki.wireshark.org/Development/PcapngCustom, entry type 3), which
 * Wireshark reads since 2025 and everybody else skips.
 */
struct pcapng_process {
	uint32_t pid, parent; /* parent 0: not known */
	uint32_t uid;
	uint64_t start;                /* ns since 1970, 0: not known */
	const char *name, *exe, *user; /* UTF-8, or NULL */
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
/* Options alone, for many packets that have the same. */
size_t pcapng__options(void *to, size_t room, struct pcapng_options options);
/* What pcapng__packet() would return with room enough. */
size_t pcapng__packet_size(const struct pcapng_packet *p);
size_t pcapng__statistics(void *to, size_t room, uint32_t interface, uint64_t time,
			  struct pcapng_options options);

size_t pcapng__process(void *to, size_t room, const struct pcapng_process *p);

/* What pcapng__packet() put at `block`; its options are in `encoded`. */
struct pcapng_packet pcapng__packet_at(const void *block);

/* Bytes of the block at `block`, which must be one of ours. */
uint32_t pcapng__block_size(const void *block);
bool pcapng__is_packet(const void *block);
#endif
