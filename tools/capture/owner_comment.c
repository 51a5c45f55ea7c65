// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Owners as a packet's comment: for readers that know no other way. */
#include "owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/outputs/output.h"

struct writing {
	char *at;
	size_t size, length;
};

static void write__char(struct writing *w, char c)
{
	if (w->length + 1 < w->size)
		w->at[w->length++] = c;
}

static void write__name(struct writing *w, const char *name, size_t most)
{
	static const char digit[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < most && name[i]; i++) {
		unsigned char c = name[i];

		if (c > ' ' && c < 0x7f && c != '\\') {
			write__char(w, c);
		} else if (w->length + 5 < w->size) {
			write__char(w, '\\');
			write__char(w, 'x');
			write__char(w, digit[c >> 4]);
			write__char(w, digit[c & 15]);
		}
	}
}

static void write__word(struct writing *w, const char *word, const char *value, size_t most)
{
	for (; *word; word++)
		write__char(w, *word);
	write__name(w, value, most);
}

size_t owner_comment__print(char *to, size_t size, const struct process *p, enum owner_how how)
{
	struct writing w = { .at = to, .size = size };
	char number[16];

	snprintf(number, sizeof(number), "%u", p->who.pid);
	write__word(&w, "pid=", number, sizeof(number));
	write__word(&w, " comm=", p->who.comm, sizeof(p->who.comm));
	snprintf(number, sizeof(number), "%u", p->who.uid);
	write__word(&w, " user=", p->user ? p->user : number, 64);
	write__word(&w, " how=", owner_how_names[how], 16);
	if (p->container)
		write__word(&w, " container=", p->container, 64);
	to[w.length] = 0;
	return w.length;
}

/* ---- and back ---- */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xNN becomes the byte, in place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		int high = -1, low = -1;

		if (text[0] == '\\' && text[1] == 'x')
			high = digit_of(text[2]);
		if (high >= 0)
			low = digit_of(text[3]);
		if (low >= 0 && (high || low)) {
			*to++ = high << 4 | low;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = 0;
}

static int take_number(const char *value, uint32_t *out)
{
	char *end;
	unsigned long n;

	if (*value < '0' || *value > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(value, &end, 10);
	if (*end || errno || n > UINT32_MAX)
		return -EINVAL;
	*out = n;
	return 0;
}

static int take_how(const char *value, enum owner_how *how)
{
	int i;

	for (i = OWNER_NONE + 1; i < OWNER_HOW_N; i++)
		if (!strcmp(value, owner_how_names[i])) {
			*how = i;
			return 0;
		}
	return -EINVAL;
}

static int take_word(char *word, struct process *p, enum owner_how *how)
{
	char *value = strchr(word, '=');

	if (!value)
		return -EINVAL;
	*value++ = 0;
	unescape(value);
	if (!strcmp(word, "pid"))
		return take_number(value, &p->who.pid);
	if (!strcmp(word, "how"))
		return take_how(value, how);
	if (!strcmp(word, "comm"))
		memcpy(p->who.comm, value, strnlen(value, sizeof(p->who.comm) - 1));
	else if (!strcmp(word, "user"))
		p->user = value;
	else if (!strcmp(word, "container"))
		p->container = value;
	return 0;
}

int owner_comment__parse(const char *comment, size_t length, char text[OWNER_COMMENT_SIZE],
			 struct process *p, enum owner_how *how)
{
	struct process found = {};
	enum owner_how found_how = OWNER_NONE;
	char *word, *rest;
	int err = 0;

	if (length < 4 || length >= OWNER_COMMENT_SIZE || memcmp(comment, "pid=", 4))
		return -EINVAL;
	memcpy(text, comment, length);
	text[length] = 0;
	for (word = strtok_r(text, " ", &rest); word && !err; word = strtok_r(NULL, " ", &rest))
		err = take_word(word, &found, &found_how);
	if (err || !who__is_somebody(&found.who) || !found_how)
		return -EINVAL;
	*p = found;
	*how = found_how;
	return 0;
}
