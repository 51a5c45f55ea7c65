/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_JOIN_H
#define WIREWHO_JOIN_H
/*
 * THE AGGREGATOR: joins flows (what the tables counted) with owners (what the sockets told), by 5-tuple and network
 * namespace. Pure: no I/O, no BPF, no clock of its own; time comes in as a parameter (ns, any clock, never back).
 *
 * A flow here has two directions. Its key is ORIENTED: source is the local end (live) or the end that sorts lower
 * (offline); direction 0 is what the source sent, direction 1 what it received. Per flow at most 160 bytes.
 *
 * Whose packets are they? They are counted by harvest, and belong to the owner known when the record is made:
 *   nobody -> A          what was counted for nobody is A's, unless several had claimed it and only one of them is left
 *   A -> A, better known no change: one record, with the better claim
 *   listener A -> B      the accepter has shown: A never had this connection, all is B's. Also bound A -> exact B
 *   A -> B otherwise     what was counted so far becomes a record of A's, what follows is B's; with a turn (owner.h) the
 *                        last packets before it, which may be either's, are nobody's
 *   A closes its socket  the flow stays A's (FIN, TIME_WAIT, late answers) until another socket claims it
 *   A, then A or B       where a bound port has several owners, nobody: what was A's becomes a record of A's
 * Events are taken to lie between the harvest before and the harvest after them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "xdp/flow.h"
#include "behind.h"
#include "owner.h"

struct join;

struct join_opts {
	bool live; /* the source end is local and may have an owner */
	uint64_t
		forget_after; /* ns without a packet after which a reported flow is dropped; 0: never */
	size_t flows_max; /* beyond it join__add() takes no new flow in, -ENOMEM; 0: as memory allows */
	bool nat;         /* join__ask_nat() will be called after each harvest */
	uint64_t
		keep_ties; /* ns, of the events' clock, that the flow may come after its tie; 0: the next harvest has it */
};

/* How the two ends stand to each other, by what was seen of the handshake. */
enum opener { OPENER_UNKNOWN, OPENER_SOURCE, OPENER_DESTINATION };

/*
 * Another watched link counted the same packets, and its record is the one for totals: that names the same owner, or the
 * peer, where both ends of what passes are on this host. Then a total of either owner's has the record that names him.
 */
enum repeated { REPEATED_NOT, REPEATED_PEER, REPEATED_OWNER };

/* One flow as the outputs see it: what was counted since the flow's previous record, and in all. */
struct flow_view {
	const struct flow_key *key;          /* oriented */
	struct count sent, received;         /* by the source, since the previous record */
	struct count all_sent, all_received; /* since the flow was first seen */
	uint64_t start, end;                 /* first and last harvest that belong to this record */
	uint8_t marks[2];                    /* enum flow_mark a direction */
	enum opener opener;
	const struct who *who; /* NULL: nobody known; good until join__tick() */
	enum owner_how how;
	uint64_t cookie; /* of the owning socket, 0: none */
	bool far;        /* the owner stands at the destination; at the source nobody is known */
	const struct who
		*peer; /* who owns the other end, where that is on this host too; else NULL */
	enum owner_how peer_how;
	enum repeated repeated; /* not for totals */
};

typedef void (*join_fn)(void *to, const struct flow_view *view);

int join__open(struct join **out, const struct join_opts *opts);
void join__close(struct join *j);

/* Which network namespace a link stands in: owners are looked up there. */
void join__set_netns(struct join *j, uint16_t link, uint64_t netns);
void join__set_ifindex(struct join *j, uint16_t link, uint32_t ifindex);

/*
 * How many interfaces a link stands on (a VLAN on its parent, a bond on its ports): a packet that two of them count is
 * the lower one's. Ports of one bond (0: of none) share its flows, each with packets of its own.
 */
void join__set_level(struct join *j, uint16_t link, unsigned level, uint32_t bond);

/*
 * Which other namespaces stand behind the interfaces here: a flow that nobody here owns is looked for there, at its near
 * end (source) first, then at its far end; what ends at an address of this namespace's own (they are among them, too) is
 * nobody else's. This namespace itself stands behind ifindex 1, loopback: both ends are in it. 0 or -ENOMEM.
 */
int join__set_behind(struct join *j, const struct behind_link *link, size_t links,
		     const struct behind_address *address, size_t addresses);
/* Several of them hold the same address: whose a flow there is then shows only by OWNER_PASSED. */
bool join__is_ambiguous(const struct join *j);

/*
 * For each new flow that nobody owns: what are its ends' own tuples, each seen from that end (its source)? fn answers 1
 * where a NAT translates it, 0 where it is known and not translated, -ENOENT where it is not known.
 */
typedef int (*join_nat_fn)(void *to, const struct flow_key *key, struct flow_key *near,
			   struct flow_key *far);
void join__ask_nat(struct join *j, join_nat_fn fn, void *to);

/*
 * Adds counts to a flow (created when new). `key` is oriented already; dir is 0 or 1. *handle is HANDLE_NONE or what
 * an earlier call put there: it saves the lookup, and a stale one does no harm. `now` is the harvest's moment, the same
 * for all that one harvest found. Returns 0, or -ENOMEM: then nothing was added, and the caller keeps the count in its
 * ledger.
 */
int join__add(struct join *j, const struct flow_key *key, int dir, const struct count *n,
	      uint8_t marks, uint64_t now, uint32_t *handle);

/*
 * A harvest has ended, and had all its counts at that time: an event of before it, told after it, may concern them. What
 * is told from now on is of the next round, also where this harvest found nothing.
 */
void join__counted(struct join *j, uint64_t time);

/* Takes one owner event in. Returns 0 or -ENOMEM. */
int join__owner(struct join *j, const struct owner_event *e);

/*
 * Events were lost: from here to the end of the next snapshot it is not known who had what was counted since this
 * round's harvest. Whoever takes a flow over then takes nothing of that along, and leaves nothing to its former owner.
 */
void join__doubt(struct join *j);

/*
 * Around a complete snapshot that is taken because events were lost: a socket that was announced before, and is not in
 * it, is closed; what was counted in doubt and is not of a socket that is in it, is nobody's. Events may come in between
 * as ever; one that is kept back for later is shown to join__saw().
 */
void join__snapshot_begins(struct join *j);
void join__saw(struct join *j, const struct owner_event *e);
void join__snapshot_ends(struct join *j);

/*
 * Calls fn for every flow that counted anything since its previous record, and starts their next record; for a flow
 * whose owner changed once for each owner. fn may call join__who(), nothing else here.
 */
void join__report(struct join *j, uint64_t now, join_fn fn, void *to);

/* Drops flows, sockets and processes not needed any more (reported, and quiet for forget_after). */
void join__tick(struct join *j, uint64_t now);

/* The owner of a flow with this oriented key at this moment, without counting anything. NULL: nobody known. Good until
 * join__tick(). *how may be asked for or not (NULL). */
const struct who *join__who(struct join *j, const struct flow_key *key, enum owner_how *how);

struct join_stats {
	size_t flows, sockets, owners, bytes;
	size_t unsplit; /* changes of owner that found no room for the former owner's record: said to be nobody's */
	size_t ties_lost; /* too many ties waited for their flows */
};
void join__stats(const struct join *j, struct join_stats *out);

/* The key seen from the other end. */
struct flow_key flow_key__reversed(const struct flow_key *key);
/* Puts the lower end first; true when it had to turn the key around. */
bool flow_key__canonical(struct flow_key *key);
#endif
