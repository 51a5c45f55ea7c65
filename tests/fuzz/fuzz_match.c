// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A selection against a frame. The input is text, a zero, and a frame. The text is taken as an expression, whatever it
 * is; and its bytes are also the choices by which an expression is made that fits the frame, together with its answer.
 * Where the language means the same as libpcap's (no tags, no IPv6 extension headers), libpcap must say the same.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "xdp/match.h"

#define TEXT_MAX 4096
#define DEPTH 4

struct maker {
	const uint8_t *at, *end; /* the choices */
	const struct parsed *p;
	char text[TEXT_MAX];
	size_t used;
	bool vlan; /* the expression asks for a tag */
};

static void check(bool holds, const char *what, const char *expr)
{
	if (holds)
		return;
	fprintf(stderr, "'%s': %s\n", expr, what);
	abort();
}

/* ---- libpcap ---- */

/* Do the languages mean the same for this flow? */
static bool comparable(const struct parsed *p)
{
	return !p->tags && (p->flow.key.family == 4 || p->l4 == 14 + 40);
}

static bool pcap_says(const char *expr, const uint8_t *frame, size_t size)
{
	static pcap_t *dead;
	struct bpf_program program;
	bool yes;

	if (!dead)
		dead = pcap_open_dead(DLT_EN10MB, 65535);
	check(!pcap_compile(dead, &program, expr, 0, PCAP_NETMASK_UNKNOWN), pcap_geterr(dead),
	      expr);
	yes = bpf_filter(program.bf_insns, frame, size, size);
	pcap_freecode(&program);
	return yes;
}

/* ---- any text ---- */

/* libpcap reads a leading zero as octal, and knows more words; both are told in match.c or harmless. */
static bool means_the_same(const char *text)
{
	if (strstr(text, "vlan"))
		return false;
	for (const char *p = text; *p; p++)
		if (*p == '0' && (p == text || !strchr("0123456789abcdefABCDEF.:", p[-1])) &&
		    strchr("0123456789", p[1]) && p[1])
			return false;
	return true;
}

/* What is wrong is worded for a person: a million times an hour that would be. */
static void complain(const char *text, unsigned at, const char *why)
{
	static FILE *nowhere;
	FILE *people = stderr;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	stderr = nowhere;
	match__complain(text, at, why);
	stderr = people;
}

static void try_text(const char *text, const struct parsed *p, const uint8_t *frame, size_t size)
{
	struct match m = { 0 }, before = m;
	char why[80];
	unsigned at = ~0u;
	int err = match__compile(&m, text, &at, why, sizeof(why));
	bool yes;

	if (err) {
		check(!memcmp(&m, &before, sizeof(m)), "refused, and yet changed", text);
		check(at <= strlen(text) && strnlen(why, sizeof(why)) < sizeof(why) && why[0],
		      "no place or no reason", text);
		complain(text, at, why);
		return;
	}
	if (!p)
		return;
	yes = match__test(p, &m);
	if (comparable(p) && means_the_same(text))
		check(yes == pcap_says(text, frame, size), "libpcap says otherwise", text);
}

/* ---- an expression made to fit ---- */

static unsigned take(struct maker *m, unsigned below)
{
	return m->at < m->end ? *m->at++ % below : 0;
}

static void __attribute__((format(printf, 2, 3))) put(struct maker *m, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	m->used += vsnprintf(m->text + m->used, TEXT_MAX - m->used, format, args);
	va_end(args);
	check(m->used < TEXT_MAX, "no room for it", m->text);
}

static unsigned some_port(struct maker *m)
{
	const struct flow_key *k = &m->p->flow.key;

	switch (take(m, 4)) {
	case 0:
		return ntohs(k->sport);
	case 1:
		return ntohs(k->dport);
	case 2:
		return (ntohs(k->dport) + take(m, 3) - 1) & 0xffff;
	default:
		return take(m, 256) << 8 | take(m, 256);
	}
}

/* "src", "dst" or nothing; what it says of the source and of the destination is put together in either(). */
static enum match_side some_side(struct maker *m)
{
	enum match_side side = 1 + take(m, 3);

	put(m, "%s", side == MATCH_SRC ? "src " : side == MATCH_DST ? "dst " : "");
	return side;
}

static bool either(enum match_side side, bool source, bool destination)
{
	return side == MATCH_SRC ? source : side == MATCH_DST ? destination : source || destination;
}

static bool make_ports(struct maker *m)
{
	unsigned source = ntohs(m->p->flow.key.sport), destination = ntohs(m->p->flow.key.dport);
	enum match_side side = some_side(m);
	unsigned low = some_port(m), high = low;

	if (take(m, 2)) {
		put(m, "port %u", low);
	} else {
		high = some_port(m);
		if (low > high) {
			unsigned other = low;

			low = high;
			high = other;
		}
		put(m, "portrange %u-%u", low, high);
	}
	return either(side, source >= low && source <= high,
		      destination >= low && destination <= high);
}

/* Are the first `bits` of both the same? */
static bool alike(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if ((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1)
			return false;
	return true;
}

static void clear_from(uint8_t *address, unsigned bits, unsigned width)
{
	for (; bits < width; bits++)
		address[bits / 8] &= ~(0x80 >> bits % 8);
}

/* Either of the flow's own addresses, perhaps a little changed, perhaps of the other version. */
static bool make_net(struct maker *m)
{
	const struct flow_key *k = &m->p->flow.key;
	enum match_side side = some_side(m);
	bool host = take(m, 2), four = take(m, 8) ? k->family == 4 : k->family != 4;
	unsigned skip = four ? 12 : 0, width = four ? 32 : 128, bits = width;
	char text[INET6_ADDRSTRLEN];
	uint8_t address[16];

	memcpy(address, take(m, 2) ? k->saddr : k->daddr, 16);
	if (!take(m, 3))
		address[skip + take(m, 4)] ^= 1 << take(m, 8);
	if (!host) {
		bits = take(m, width + 1);
		clear_from(address + skip, bits, width);
	}
	inet_ntop(four ? AF_INET : AF_INET6, address + skip, text, sizeof(text));
	if (host)
		put(m, "host %s", text);
	else
		put(m, "net %s/%u", text, bits);
	return (k->family == 4) == four &&
	       either(side, alike(k->saddr + skip, address + skip, bits),
		      alike(k->daddr + skip, address + skip, bits));
}

static bool make_vlan(struct maker *m)
{
	unsigned id = take(m, 3) ? m->p->vlan : take(m, 16);
	bool any = take(m, 2);

	m->vlan = true;
	if (any)
		put(m, "vlan");
	else
		put(m, "vlan %u", id);
	return m->p->tags && (any || m->p->vlan == id);
}

static bool make_proto(struct maker *m, const char *name, unsigned number)
{
	bool is = m->p->flow.key.proto == number;

	put(m, "%s", name);
	if (!take(m, 2))
		return is;
	put(m, " ");
	return make_ports(m) && is;
}

static bool make_primitive(struct maker *m)
{
	unsigned family = m->p->flow.key.family;

	switch (take(m, 8)) {
	case 0:
		return make_proto(m, "tcp", PARSE_IP_TCP);
	case 1:
		return make_proto(m, "udp", PARSE_IP_UDP);
	case 2:
		put(m, "ip");
		return family == 4;
	case 3:
		put(m, "ip6");
		return family == 6;
	case 4:
		return make_vlan(m);
	case 5:
		return make_ports(m);
	default:
		return make_net(m);
	}
}

static bool make_expression(struct maker *m, unsigned depth);

static bool make_term(struct maker *m, unsigned depth)
{
	bool not = !take(m, 4), answer;

	if (not )
		put(m, "%s", take(m, 2) ? "not " : "!");
	if (depth < DEPTH && m->used < TEXT_MAX / 2 && !take(m, 3)) {
		put(m, "(");
		answer = make_expression(m, depth + 1);
		put(m, ")");
	} else {
		answer = make_primitive(m);
	}
	return answer != not ;
}

static bool make_expression(struct maker *m, unsigned depth)
{
	bool answer = make_term(m, depth), right;
	unsigned more = take(m, 4);

	while (more-- && m->used < TEXT_MAX / 2) {
		bool all = take(m, 2), word = take(m, 2);

		put(m, " %s ", all ? (word ? "and" : "&&") : (word ? "or" : "||"));
		right = make_term(m, depth);
		answer = all ? answer && right : answer || right;
	}
	return answer;
}

static void try_made(const uint8_t *choices, size_t n, const struct parsed *p, const uint8_t *frame,
		     size_t size)
{
	struct maker m = { .at = choices, .end = choices + n, .p = p };
	bool wanted = make_expression(&m, 0), got;
	struct match match = { 0 };
	char why[80];
	unsigned at;
	int err = match__compile(&match, m.text, &at, why, sizeof(why));

	if (err == -E2BIG)
		return;
	check(!err, "refused", m.text);
	got = match__test(p, &match);
	check(got == wanted, wanted ? "should match" : "should not match", m.text);
	if (!m.vlan && comparable(p))
		check(got == pcap_says(m.text, frame, size), "libpcap says otherwise", m.text);
	if (match__compile(&match, "udp src port 7", &at, why, sizeof(why)))
		return;
	check(match__test(p, &match) == (wanted || (p->flow.key.proto == PARSE_IP_UDP &&
						    ntohs(p->flow.key.sport) == 7)),
	      "with another or-ed to it, another answer", m.text);
}

/* ---- the input ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = memchr(data, 0, size), *frame = zero ? zero + 1 : data + size;
	size_t length = zero ? (size_t)(zero - data) : size, rest = data + size - frame;
	char *text = strndup((const char *)data, length);
	struct parsed p;
	bool flow = parse__frame(frame, frame + rest, -1, 0, &p) == REASON_FLOW;

	try_text(text, flow ? &p : NULL, frame, rest);
	if (flow)
		try_made(data, length, &p, frame, rest);
	free(text);
	return 0;
}
