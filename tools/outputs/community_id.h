/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_COMMUNITY_ID_H
#define WIREWHO_COMMUNITY_ID_H
/*
 * Community ID, version 1, seed 0 (github.com/corelight/community-id-spec): the same text for both directions of a
 * TCP or UDP flow, and in every tool that knows it. "1:" and the base64 of
 *   SHA-1(seed (2 bytes), lower end's address, higher end's address, protocol, 0, lower end's port, higher end's port)
 * in network order, addresses of 4 or 16 bytes.
 */
#include "xdp/flow.h"

#define COMMUNITY_ID_SIZE 31 /* "1:", 28 characters, zero */

/* Of a TCP or UDP flow. Returns `to`. */
char *community_id(char to[COMMUNITY_ID_SIZE], const struct flow_key *key);
#endif
