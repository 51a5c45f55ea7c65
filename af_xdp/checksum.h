/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CHECKSUM_H
#define WIREWHO_CHECKSUM_H
/*
 * Internet checksums (RFC 1071) of frames that never were on a wire: a veth or virtio peer leaves the sum over the
 * payload to a card that does not exist, and the TCP or UDP checksum field holds the sum of the pseudo-header only.
 * The kernel knows so beside the frame; AF_XDP does not carry that along.
 */
#include <stdbool.h>
#include <stdint.h>

/*
 * Completes the checksum of an Ethernet frame when the field holds the pseudo-header's sum and nothing more. A sum that is
 * right stays, and so does one that is wrong in another way: it was wrong on the wire. Left alone as well: fragments,
 * frames cut short, IPv4 UDP without checksum, everything but TCP and UDP. True: it was changed.
 */
bool checksum__complete(uint8_t *frame, uint32_t length);

/* The sum of big-endian 16-bit words, folded, not inverted; an odd last byte is the upper half of a word. In memory order. */
uint16_t checksum__sum(const uint8_t *data, uint32_t size, uint64_t start);
#endif
