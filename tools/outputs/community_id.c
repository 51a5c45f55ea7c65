// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "community_id.h"

#include <sha1.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* RFC 4648, section 4. `to` takes four characters for each three bytes begun, and a zero. */
static void base64(char *to, const uint8_t *from, size_t n)
{
	static const char digit[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = from[i] << 16 | (i + 1 < n ? from[i + 1] << 8 : 0) |
				(i + 2 < n ? from[i + 2] : 0);

		*to++ = digit[bits >> 18];
		*to++ = digit[bits >> 12 & 63];
		*to++ = i + 1 < n ? digit[bits >> 6 & 63] : '=';
		*to++ = i + 2 < n ? digit[bits & 63] : '=';
	}
	*to = '\0';
}

static bool source_is_lower(const struct flow_key *key)
{
	int order = memcmp(key->saddr, key->daddr, sizeof(key->saddr));

	return (order ? order : memcmp(&key->sport, &key->dport, sizeof(key->sport))) <= 0;
}

char *community_id(char to[COMMUNITY_ID_SIZE], const struct flow_key *key)
{
	static const uint8_t seed[2];
	bool source_first = source_is_lower(key);
	size_t skip = key->family == 4 ? 12 : 0, length = sizeof(key->saddr) - skip;
	uint8_t digest[SHA1_DIGEST_LENGTH], proto[2] = { key->proto };
	SHA1_CTX sha;

	SHA1Init(&sha);
	SHA1Update(&sha, seed, sizeof(seed));
	SHA1Update(&sha, (source_first ? key->saddr : key->daddr) + skip, length);
	SHA1Update(&sha, (source_first ? key->daddr : key->saddr) + skip, length);
	SHA1Update(&sha, proto, sizeof(proto));
	SHA1Update(&sha, (const uint8_t *)(source_first ? &key->sport : &key->dport), 2);
	SHA1Update(&sha, (const uint8_t *)(source_first ? &key->dport : &key->sport), 2);
	SHA1Final(digest, &sha);
	memcpy(to, "1:", 2);
	base64(to + 2, digest, sizeof(digest));
	return to;
}
