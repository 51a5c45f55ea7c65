// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Expressions of `--match`: a subset of pcap-filter(7).
 *
 *   expression  = term { ("and" | "&&" | "or" | "||") term }     equal precedence, from left to right
 *   term        = { "not" | "!" } ( primitive | "(" expression ")" )
 *   primitive   = "tcp" | "udp"                                  the protocol
 *               | "ip" | "ip6"                                   the IP version on the wire
 *               | [ "tcp" | "udp" ] [ side ] "port" N            "tcp port 80" is "tcp and port 80"
 *               | [ "tcp" | "udp" ] [ side ] "portrange" N-M
 *               | [ side ] "host" ADDR                           an IPv4 or IPv6 address
 *               | [ side ] "net" ADDR/LEN                        no bits set beyond LEN
 *               | "vlan" [ ID ]                                  the outer tag
 *   side        = "src" | "dst"                                  without it: either end
 *
 * Unlike there: numbers and addresses only, no names of ports, hosts or networks; each test has its keyword ("port 80
 * or port 443", not "port 80 or 443"); "vlan" does not change what the tests after it mean, VLAN tags are always
 * looked through; an empty expression is an error, it might be a variable that was not set.
 *
 * There is no tree: each part of an expression is the truth table of its answers, a set of bits, so that and, or and
 * not are what they are for bits, whatever the length of the expression.
 */
#include "match.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "say.h"

#define DEPTH_MAX 32 /* parentheses within parentheses */
#define WORD_MAX 64  /* the longest address with its length is 49 */
#define BLANKS " \t\r\n"
#define SHOWN 72 /* of an expression beside its caret */

struct truth {
	__u8 bits[sizeof(((struct match *)0)->truth)];
};

struct compiler {
	struct match m; /* the result so far */
	const char *expr;
	unsigned at;   /* where the current word begins */
	unsigned next; /* where it ends */
	char word[WORD_MAX];
	unsigned depth;
	unsigned *wrong;
	char *why;
	unsigned long why_size;
};

static int __attribute__((format(printf, 3, 4)))
refuse(struct compiler *c, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (c->why_size)
		vsnprintf(c->why, c->why_size, format, args);
	va_end(args);
	*c->wrong = c->at;
	return err;
}

/* ---- words ---- */

static unsigned word__length(const char *text)
{
	if (!strncmp(text, "&&", 2) || !strncmp(text, "||", 2))
		return 2;
	if (*text && strchr("()!&|", *text))
		return 1;
	return strcspn(text, "()!&|" BLANKS);
}

/* To the next word; "" at the end. What is too long for any word is cut, and ends so that it is none. */
static void next(struct compiler *c)
{
	unsigned length;

	c->at = c->next + strspn(c->expr + c->next, BLANKS);
	length = word__length(c->expr + c->at);
	c->next = c->at + length;
	memcpy(c->word, c->expr + c->at, length < WORD_MAX ? length : WORD_MAX);
	if (length < WORD_MAX)
		c->word[length] = '\0';
	else
		strcpy(c->word + WORD_MAX - 4, "...");
}

static bool is(const struct compiler *c, const char *word)
{
	return !strcmp(c->word, word);
}

static bool take(struct compiler *c, const char *word)
{
	if (!is(c, word))
		return false;
	next(c);
	return true;
}

/* The current word as it may stand in a sentence. */
static const char *quoted(const struct compiler *c, char text[WORD_MAX + 8])
{
	unsigned n = 0;

	if (!c->word[0])
		return "the end";
	text[n++] = '\'';
	for (const char *p = c->word; *p; p++)
		text[n++] = *p < ' ' || *p > '~' ? '?' : *p;
	text[n++] = '\'';
	text[n] = '\0';
	return text;
}

static int refuse__word(struct compiler *c, const char *wanted)
{
	char text[WORD_MAX + 8];

	return refuse(c, -EINVAL, "%s expected, not %s", wanted, quoted(c, text));
}

/* ---- truth tables ---- */

static struct truth truth__of(unsigned predicate)
{
	struct truth t = { 0 };

	for (unsigned i = 0; i < 8 * sizeof(t.bits); i++)
		if (i >> predicate & 1)
			t.bits[i >> 3] |= 1u << (i & 7);
	return t;
}

static void truth__and(struct truth *t, const struct truth *with)
{
	for (unsigned i = 0; i < sizeof(t->bits); i++)
		t->bits[i] &= with->bits[i];
}

static void truth__or(struct truth *t, const struct truth *with)
{
	for (unsigned i = 0; i < sizeof(t->bits); i++)
		t->bits[i] |= with->bits[i];
}

static void truth__not(struct truth *t)
{
	for (unsigned i = 0; i < sizeof(t->bits); i++)
		t->bits[i] = ~t->bits[i];
}

/* ---- primitives ---- */

/* Asked a second time, a predicate keeps its place. `at` is the word to blame if there is no place left. */
static int predicate__ask(struct compiler *c, const struct predicate *q, unsigned at,
			  struct truth *out)
{
	for (unsigned i = 0; i < MATCH_PREDICATES; i++) {
		struct predicate *p = &c->m.predicate[i];

		if (p->kind == MATCH_NOTHING)
			*p = *q;
		if (memcmp(p, q, sizeof(*p)))
			continue;
		*out = truth__of(i);
		return 0;
	}
	c->at = at;
	return refuse(c, -E2BIG, "more than %d different tests", MATCH_PREDICATES);
}

/* A whole decimal number at *text, which moves behind it. */
static int number(const char **text, unsigned max, __u16 *out)
{
	unsigned n = 0;
	const char *p = *text;

	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n > max)
			return -ERANGE;
	}
	if (p == *text)
		return -EINVAL;
	*text = p;
	*out = n;
	return 0;
}

static int parse__port(struct compiler *c, struct predicate *q)
{
	const char *p = c->word;

	if (number(&p, 65535, &q->lo) || *p)
		return refuse__word(c, "a port number from 0 to 65535 (names are not supported)");
	q->hi = q->lo;
	next(c);
	return 0;
}

static int parse__portrange(struct compiler *c, struct predicate *q)
{
	const char *p = c->word;

	if (number(&p, 65535, &q->lo) || *p++ != '-' || number(&p, 65535, &q->hi) || *p ||
	    q->lo > q->hi)
		return refuse__word(c, "a range of port numbers, LOW-HIGH within 0-65535,");
	next(c);
	return 0;
}

static void mask__fill(__u8 mask[16], unsigned bits)
{
	memset(mask, 0, 16);
	memset(mask, 0xff, bits / 8);
	if (bits % 8)
		mask[bits / 8] = 0xff << (8 - bits % 8);
}

/* Takes `text` as an address of either version; *width is its bits. */
static int address(const char *text, struct predicate *q, unsigned *width)
{
	__u8 *to = (__u8 *)q->addr;

	if (inet_pton(AF_INET6, text, to) == 1) {
		q->lo = 6;
		*width = 128;
		return 0;
	}
	memcpy(to, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	q->lo = 4;
	*width = 32;
	return inet_pton(AF_INET, text, to + 12) == 1 ? 0 : -EINVAL;
}

static int parse__host(struct compiler *c, struct predicate *q)
{
	unsigned width;

	if (address(c->word, q, &width))
		return refuse__word(c, "an IPv4 or IPv6 address (names are not supported)");
	mask__fill((__u8 *)q->mask, 128);
	next(c);
	return 0;
}

static int parse__net(struct compiler *c, struct predicate *q)
{
	char *slash = strchr(c->word, '/');
	const char *p = slash ? slash + 1 : "";
	unsigned width;
	int err;
	__u16 length;

	if (slash)
		*slash = '\0';
	err = !slash || address(c->word, q, &width) || number(&p, width, &length) || *p;
	if (slash)
		*slash = '/';
	if (err)
		return refuse__word(c, "a network, ADDRESS/LENGTH,");
	mask__fill((__u8 *)q->mask, 128 - width + length);
	if ((q->addr[0] & ~q->mask[0]) || (q->addr[1] & ~q->mask[1]))
		return refuse(c, -EINVAL, "the address has bits set beyond its /%u", length);
	next(c);
	return 0;
}

static int parse__vlan(struct compiler *c, unsigned at, struct truth *out)
{
	struct predicate q = { .kind = MATCH_VLAN, .hi = 0xffff };
	const char *p = c->word;

	if (*p >= '0' && *p <= '9') {
		if (number(&p, 4095, &q.lo) || *p)
			return refuse__word(c, "a VLAN id from 0 to 4095");
		q.hi = 0;
		next(c);
	}
	return predicate__ask(c, &q, at, out);
}

/* "src" and "dst" and what may stand behind them; `end` words the error where nothing of it does. */
static int parse__end(struct compiler *c, struct truth *out, bool ports_only, const char *wanted)
{
	struct predicate q = { .side = MATCH_EITHER };
	unsigned at;
	int err;

	if (take(c, "src"))
		q.side = MATCH_SRC;
	else if (take(c, "dst"))
		q.side = MATCH_DST;
	if (q.side != MATCH_EITHER)
		wanted = ports_only ? "port or portrange" : "port, portrange, host or net";
	at = c->at;
	q.kind = is(c, "host") || is(c, "net") ? MATCH_NET : MATCH_PORT;
	if (take(c, "port"))
		err = parse__port(c, &q);
	else if (take(c, "portrange"))
		err = parse__portrange(c, &q);
	else if (!ports_only && take(c, "host"))
		err = parse__host(c, &q);
	else if (!ports_only && take(c, "net"))
		err = parse__net(c, &q);
	else
		return refuse__word(c, wanted);
	return err ? err : predicate__ask(c, &q, at, out);
}

static int parse__proto(struct compiler *c, __u8 proto, unsigned at, struct truth *out)
{
	struct predicate q = { .kind = MATCH_PROTO, .lo = proto };
	struct truth ports;
	int err = predicate__ask(c, &q, at, out);

	if (err || !(is(c, "src") || is(c, "dst") || is(c, "port") || is(c, "portrange")))
		return err;
	err = parse__end(c, &ports, true, "");
	if (!err)
		truth__and(out, &ports);
	return err;
}

static int parse__family(struct compiler *c, __u8 family, unsigned at, struct truth *out)
{
	struct predicate q = { .kind = MATCH_FAMILY, .lo = family };

	return predicate__ask(c, &q, at, out);
}

static int parse__primitive(struct compiler *c, struct truth *out)
{
	unsigned at = c->at;

	if (take(c, "tcp"))
		return parse__proto(c, PARSE_IP_TCP, at, out);
	if (take(c, "udp"))
		return parse__proto(c, PARSE_IP_UDP, at, out);
	if (take(c, "ip"))
		return parse__family(c, 4, at, out);
	if (take(c, "ip6"))
		return parse__family(c, 6, at, out);
	if (take(c, "vlan"))
		return parse__vlan(c, at, out);
	return parse__end(c, out, false,
			  "a test (tcp, udp, ip, ip6, port, portrange, host, net, vlan)");
}

/* ---- expressions ---- */

static int parse__expression(struct compiler *c, struct truth *out);

static int parse__parentheses(struct compiler *c, struct truth *out)
{
	int err;

	if (c->depth == DEPTH_MAX)
		return refuse(c, -EINVAL, "more than %d parentheses within each other", DEPTH_MAX);
	c->depth++;
	next(c);
	err = parse__expression(c, out);
	c->depth--;
	if (!err && !take(c, ")"))
		err = refuse__word(c, "'and', 'or' or ')'");
	return err;
}

static int parse__term(struct compiler *c, struct truth *out)
{
	bool negated = false;
	int err;

	while (take(c, "not") || take(c, "!"))
		negated = !negated;
	err = is(c, "(") ? parse__parentheses(c, out) : parse__primitive(c, out);
	if (!err && negated)
		truth__not(out);
	return err;
}

static int parse__expression(struct compiler *c, struct truth *out)
{
	int err = parse__term(c, out);

	while (!err) {
		bool all = take(c, "and") || take(c, "&&");
		struct truth right;

		if (!all && !take(c, "or") && !take(c, "||"))
			break;
		err = parse__term(c, &right);
		if (err)
			break;
		if (all)
			truth__and(out, &right);
		else
			truth__or(out, &right);
	}
	return err;
}

int match__compile(struct match *m, const char *expr, unsigned *at, char *why,
		   unsigned long why_size)
{
	struct compiler c = {
		.m = *m, .expr = expr, .wrong = at, .why = why, .why_size = why_size
	};
	struct truth truth;
	int err;

	next(&c);
	if (!c.word[0])
		return refuse(&c, -EINVAL, "the expression is empty");
	err = parse__expression(&c, &truth);
	if (!err && c.word[0])
		err = refuse__word(&c, "'and', 'or' or the end");
	if (err)
		return err;
	/* What was there before does not depend on the predicates that came now. */
	for (unsigned i = 0; i < sizeof(truth.bits); i++)
		c.m.truth[i] |= truth.bits[i];
	c.m.active = 1;
	*m = c.m;
	return 0;
}

void match__complain(const char *expr, unsigned at, const char *why)
{
	unsigned from = at > SHOWN / 2 ? at - SHOWN / 2 : 0, n = 0;
	char shown[SHOWN + 1];

	for (const char *p = expr + from; *p && n < SHOWN; p++)
		shown[n++] = *p < ' ' || *p > '~' ? '?'
						  : *p; /* one column a byte, and no controls */
	shown[n] = '\0';
	say(SAY_ERROR, "match expression: %s", why);
	say(SAY_ERROR, "  %s%s", from ? "..." : "", shown);
	say(SAY_ERROR, "  %*s^", (int)(at - from) + (from ? 3 : 0), "");
}
