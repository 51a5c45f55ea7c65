// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* RFC 3629, section 4: the first two bytes tell the length, and rule out overlong forms and surrogates. */
static const struct {
	unsigned char first[2], second[2];
	size_t length;
} forms[] = {
	{ { 0x00, 0x7f }, { 0x00, 0xff }, 1 }, { { 0xc2, 0xdf }, { 0x80, 0xbf }, 2 },
	{ { 0xe0, 0xe0 }, { 0xa0, 0xbf }, 3 }, { { 0xe1, 0xec }, { 0x80, 0xbf }, 3 },
	{ { 0xed, 0xed }, { 0x80, 0x9f }, 3 }, { { 0xee, 0xef }, { 0x80, 0xbf }, 3 },
	{ { 0xf0, 0xf0 }, { 0x90, 0xbf }, 4 }, { { 0xf1, 0xf3 }, { 0x80, 0xbf }, 4 },
	{ { 0xf4, 0xf4 }, { 0x80, 0x8f }, 4 },
};

/* Bytes of the character that begins here, 0 if none does. */
static size_t character(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		size_t length = forms[i].length;

		if (p[0] < forms[i].first[0] || p[0] > forms[i].first[1])
			continue;
		if (length > n)
			return 0;
		if (length > 1 && (p[1] < forms[i].second[0] || p[1] > forms[i].second[1]))
			return 0;
		for (size_t k = 2; k < length; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return length;
	}
	return 0;
}

size_t text__utf8(char *to, size_t size, const char *bytes, size_t n)
{
	const char *p = bytes, *end = bytes + strnlen(bytes, n);
	size_t at = 0;

	if (!size)
		return 0;
	while (p < end) {
		size_t length = character((const unsigned char *)p, end - p);

		if (at + (length ? length : 4) >= size)
			break;
		if (length)
			memcpy(to + at, p, length);
		else
			snprintf(to + at, 5, "\\x%02X", (unsigned char)*p);
		at += length ? length : 4;
		p += length ? length : 1;
	}
	to[at] = '\0';
	return at;
}

char *text__time(char to[TEXT_TIME_SIZE], uint64_t ns)
{
	time_t seconds = ns / 1000000000;
	struct tm t;

	gmtime_r(&seconds, &t);
	strftime(to, TEXT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &t);
	snprintf(to + 19, TEXT_TIME_SIZE - 19, ".%09uZ", (unsigned)(ns % 1000000000));
	return to;
}
