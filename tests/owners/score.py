#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Compares whose packets wirewho says they are with what the programs of a round said themselves (see actor.h)."""
import argparse
import collections
import glob
import json
import os
import re
import sys

LEAST = 99.9  # per cent of the packets that have an owner
# Packets of a connection that may come before its owner shows; where all is slow, some are sent again.
HANDSHAKE = 10 if int(os.environ.get("WW_SLOW", 1)) > 1 else 6
SLACK = 10    # packets of a shared connection's beginning and end
NOTES = 6     # of a failed row
HOWS = ("exact", "bound", "listener", "snapshot")


class Claim:
    def __init__(self, pid, comm="-", packets=None):
        self.pid, self.comm, self.packets = pid, comm, packets


class Scenario:
    def __init__(self, name):
        self.name, self.skipped, self.uncounted, self.failed = name, None, None, None
        self.claims = collections.defaultdict(list)  # (side, proto, local, remote): [Claim]
        self.listeners = collections.defaultdict(set)
        self.shares = collections.defaultdict(collections.Counter)
        self.nobody = {}                             # the same: pid that may be named
        self.sent, self.payload = {}, {}

    def read(self, path):
        for line in open(path):
            word = line.split()
            if word[0] == "skip":
                self.skipped = " ".join(word[1:])
            elif word[0] == "uncounted":
                self.uncounted = " ".join(word[1:])
            else:
                self.take(word[0], (word[1], word[2], word[3], word[4]), word[5:])

    def take(self, kind, key, rest):
        if kind == "own":
            packets = None if len(rest) < 3 else rest[2] if rest[2] == "rest" else int(rest[2])
            self.claims[key].append(Claim(int(rest[0]), rest[1], packets))
        elif kind == "noone":
            self.nobody[key] = int(rest[0])
        elif kind == "share":
            self.shares[key][int(rest[0])] += int(rest[1])
        elif kind == "listens":
            self.listeners[key].add(int(rest[0]))
        elif kind == "sent":
            self.sent[key] = self.sent.get(key, 0) + int(rest[0])  # a port may be used again
        elif kind == "payload":
            self.payload[key] = int(rest[0])


class Row:
    """What became of a scenario's packets."""

    def __init__(self):
        self.packets = self.bytes = self.right = self.none = self.wrong = self.nobody = 0
        self.how = collections.Counter()
        self.seen = collections.defaultdict(collections.Counter)  # flow: {(pid, name, how): packets}
        self.size = collections.Counter()                         # flow: bytes
        self.sent = collections.Counter()
        self.notes = []


def rounds_scenarios(path):
    for out in sorted(glob.glob(path + "/*.out")):
        s = Scenario(os.path.basename(out)[:-4])
        s.read(out)
        code = open(out[:-4] + ".code").read().strip()
        if code not in ("0", "77"):
            s.failed = open(out[:-4] + ".err").read().strip() or "exit code " + code
        yield s


def candidates(key):
    side, proto, local, remote = key
    return key, (side, proto, local, "*"), (side, proto, "*", remote)


def find(table, key):
    for k in candidates(key):
        if k in table:
            return table[k]
    return None


def records(path):
    for side in ("srv", "cli"):
        for line in open("%s/%s.jsonl" % (path, side)):
            r = json.loads(line)
            if r["event"]["kind"] == "metric":
                yield side, r


def flow_of(side, r):
    near, far = ("source", "destination")[:: 1 if r["wirewho"]["local"] == "source" else -1]
    key = (side, r["network"]["transport"], str(r[near]["port"]), str(r[far]["port"]))
    return key, r[near], r[far]


def collect(path, scenarios):
    """Each record goes to the row of its scenario; strays are returned."""
    index = {}
    for s in scenarios:
        for key in list(s.claims) + list(s.nobody) + list(s.shares):
            index[key] = s.name
    rows, strays = collections.defaultdict(Row), collections.Counter()
    for side, r in records(path):
        key, near, far = flow_of(side, r)
        name = find(index, key)
        packets = near["packets"] + far["packets"]
        if name is None:
            strays[" ".join(key)] += packets
            continue
        row, process, how = rows[name], r.get("process", {}), r["wirewho"]["attribution"]
        if "owner" in r["wirewho"]:  # the other end's, and said to be: a forged source looks like a passing flow
            process, how = {}, "none"
        row.packets += packets
        row.bytes += near["bytes"] + far["bytes"]
        row.seen[key][(process.get("pid"), process.get("name"), how)] += packets
        row.size[key] += near["bytes"] + far["bytes"]
        row.sent[key] += near["packets"]
    return rows, strays


def identity(pid, name):
    """One number may be two processes': those have names of their own."""
    return (pid, name) if str(name).startswith("life-") else pid


def is_claimed(claims, pid, name):
    return any(c.pid == pid and (not c.comm.startswith("life-") or c.comm == name) for c in claims)


def judge_plain(row, claims, listeners, seen):
    for (pid, name, how), packets in seen.items():
        if pid is None:
            row.none += packets
        elif is_claimed(claims, pid, name) or (how == "listener" and pid in listeners and packets <= HANDSHAKE):
            row.right += packets
            row.how[how] += packets
        else:
            row.wrong += packets
            row.notes.append("%s/%s (%s) has %d packets of %s" % (
                name, pid, how, packets, ",".join(str(c.pid) for c in claims)))


def judge_counted(row, claims, seen):
    """A part is the first owner's, the rest the second one's: what anybody has beyond his part is wrong."""
    part, left = collections.Counter(), sum(seen.values())
    for c in claims:
        part[identity(c.pid, c.comm)] = left if c.packets == "rest" else c.packets
        left -= part[identity(c.pid, c.comm)]
    got = collections.Counter()
    for (pid, name, how), packets in seen.items():
        got[identity(pid, name)] += packets
        if pid is not None:
            row.how[how] += packets
    row.none += got.pop(None, 0)
    for who, packets in got.items():
        row.right += min(packets, part[who])
        row.wrong += max(packets - part[who], 0)
        if packets > part[who]:
            row.notes.append("%s has %d packets more than his %d" % (who, packets - part[who], part[who]))


def judge_shares(row, shares, seen):
    """Nobody may have them all; but whoever has more than he used has somebody else's."""
    got = collections.Counter()
    for (pid, name, how), packets in seen.items():
        got[pid] += packets
        if pid is not None:
            row.how[how] += packets
    row.none += got[None]
    row.nobody += got.pop(None, 0)
    for pid, packets in got.items():
        most = shares[pid] + (sum(seen.values()) if shares[pid] < 0 else 0) + SLACK if pid in shares else 0
        row.right += min(packets, most)
        row.wrong += max(packets - most, 0)
        if packets > most:
            row.notes.append("%s has %d packets, and used %d" % (pid, packets, shares[pid]))


def owner_of(pid, name, how):
    return "nobody" if pid is None else "%s/%d %s" % (name, pid, how)


def claim_of(key, s):
    """What its programs said of a flow."""
    shares, nobody = find(s.shares, key), find(s.nobody, key)
    if shares is not None:
        return " ".join("%d used %d" % x for x in shares.items())
    if nobody is not None:
        return "nobody, or %d" % nobody
    return " ".join("%s/%d%s" % (c.comm, c.pid, "" if c.packets is None else " %s" % c.packets)
                    for c in find(s.claims, key))


def judge_flow(s, row, key, seen):
    nobody, shares, claims = find(s.nobody, key), find(s.shares, key), find(s.claims, key)
    if nobody is not None:
        row.nobody += sum(seen.values())
        for (pid, name, how), packets in seen.items():
            if pid not in (None, nobody):
                row.wrong += packets
                row.notes.append("%s/%s has %d packets of nobody" % (name, pid, packets))
    elif shares is not None:
        judge_shares(row, shares, seen)
    elif claims[0].packets is not None:
        judge_counted(row, claims, seen)
    else:
        judge_plain(row, claims, find(s.listeners, key) or (), seen)


def judge_counts(s, row):
    for key, packets in s.sent.items():
        if row.sent[key] != packets:
            row.notes.append("miscounted: %s sent %d, %d were counted" % (" ".join(key), packets, row.sent[key]))
    for key, size in s.payload.items():
        if row.size[key] < size:
            row.notes.append("miscounted: %s moved %d bytes, %d were counted" % (" ".join(key), size, row.size[key]))


def judge(s, row):
    for key, seen in row.seen.items():
        wrong = row.wrong
        judge_flow(s, row, key, seen)
        if row.wrong > wrong:
            row.notes.append("    at %s: %s; expected %s" % (" ".join(key), ", ".join(
                "%s %d" % (owner_of(*who), packets) for who, packets in seen.items()), claim_of(key, s)))
    judge_counts(s, row)


# ---------------------------------------------------------------------------------------------------------- the peers

SS = re.compile(r"^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+\S+:(\d+|\*)\s+\S+:(\d+|\*)\s*(.*)$")


def ss_says(path):
    """The processes that held each socket when it was seen last."""
    said, any_ = {}, False
    for side in ("srv", "cli"):
        for line in open("%s/ss.%s" % (path, side)) if os.path.exists("%s/ss.%s" % (path, side)) else ():
            m = SS.match(line.strip())
            pids = set(map(int, re.findall(r"pid=(\d+)", m.group(4)))) if m else None
            any_ = True
            if pids and (m.group(1) == "udp" or m.group(3) != "*"):
                said[(side, m.group(1), m.group(2), m.group(3))] = pids
    return said if any_ else None


def ss_share(s, row, said):
    """Per cent of the packets whose socket was seen with exactly its owner, and with anybody else."""
    right = wrong = 0
    for key, seen in row.seen.items():
        pids, claims, packets = find(said, key), find(s.claims, key), sum(seen.values())
        if not pids or not claims:
            continue
        if pids <= {c.pid for c in claims} and len(pids) == 1 and claims[0].packets is None:
            right += packets
        elif not pids & {c.pid for c in claims}:
            wrong += packets
    return right, wrong


def nethogs_says(path):
    """Bytes by process, sent and received, as it said them last."""
    said, any_ = collections.Counter(), False
    for side in ("srv", "cli"):
        name = "%s/nethogs.%s" % (path, side)
        for line in open(name, errors="replace") if os.path.exists(name) else ():
            m = re.match(r"^(.*)/(\d+)/(\d+)\t([\d.e+]+)\t([\d.e+]+)$", line.rstrip("\n"))
            if m:
                any_ = True
                said[int(m.group(2))] = max(said[int(m.group(2))], float(m.group(4)) + float(m.group(5)))
    return said if any_ else None


def nethogs_share(s, row, said):
    pids = {c.pid for claims in s.claims.values() for c in claims}
    return min(row.bytes, sum(said[p] for p in pids))


ENDS = {"10.77.0.1": "srv", "fd77::1": "srv", "10.77.0.2": "cli", "fd77::2": "cli"}


def tcptop_says(path):
    """The processes that sent or received on each TCP socket."""
    said, name = collections.defaultdict(set), "%s/tcptop" % path
    if not os.path.exists(name):
        return None
    for line in open(name, errors="replace"):
        m = re.match(r"^(\d+)\s.*\s(\S+):(\d+)\s+\S+:(\d+)\s+\d+\s+\d+$", line.rstrip())
        if m:
            side = ENDS.get(m.group(2).removeprefix("::ffff:"), "srv")  # else it is the server's loopback
            said[(side, "tcp", m.group(3), m.group(4))].add(int(m.group(1)))
    return said


def tcp_packets(s, row):
    return sum(sum(seen.values()) for key, seen in row.seen.items() if key[1] == "tcp" and find(s.claims, key))


# ---------------------------------------------------------------------------------------------------------- the table

class Total:
    least = LEAST

    def __init__(self):
        self.packets = self.bytes = self.right = self.none = self.wrong = self.nobody = 0
        self.how = collections.Counter()
        self.ss = self.nethogs = None
        self.ss_wrong = 0
        self.tcptop = collections.Counter()
        self.status, self.notes = [], []

    def add(self, row):
        for field in ("packets", "bytes", "right", "none", "wrong", "nobody"):
            setattr(self, field, getattr(self, field) + getattr(row, field))
        self.how.update(row.how)
        self.notes += row.notes

    def add_peers(self, ss, nethogs):
        self.ss = self.ss if ss is None else (self.ss or 0) + ss
        self.nethogs = self.nethogs if nethogs is None else (self.nethogs or 0) + nethogs

    def share(self):
        owned = self.packets - self.nobody
        return 100 * self.right / owned if owned else None

    def failed(self):
        if self.status:
            return any(not x.startswith(("skip", "(")) for x in self.status)
        low = self.share() is not None and self.share() < self.least
        return bool(self.wrong or low or not self.packets or any(n.startswith("miscounted") for n in self.notes))


def add_round(path, totals):
    scenarios = list(rounds_scenarios(path))
    rows, strays = collect(path, scenarios)
    ss, nethogs, tcptop = ss_says(path), nethogs_says(path), tcptop_says(path)
    for s in scenarios:
        total, row = totals[s.name], rows[s.name]
        if s.failed or s.skipped or s.uncounted:
            total.status.append(("FAILED " + s.failed) if s.failed else
                                ("skipped: " + s.skipped) if s.skipped else "(%s)" % s.uncounted)
        judge(s, row)
        total.add(row)
        if ss is not None:
            right, wrong = ss_share(s, row, ss)
            total.add_peers(right, None)
            total.ss_wrong += wrong
        if tcptop is not None:
            right, wrong = ss_share(s, row, tcptop)
            total.tcptop.update(right=right, wrong=wrong, all=tcp_packets(s, row))
        if nethogs is not None:
            total.add_peers(None, nethogs_share(s, row, nethogs))
    return strays


def per_cent(part, whole):
    return "-" if part is None or not whole else "%.1f" % (100 * part / whole)


def line_of(name, t):
    if t.status and not t.packets:
        return "%-22s %s" % (name, t.status[0])
    share = t.share()
    how = " ".join("%s %d" % (h, t.how[h]) for h in HOWS if t.how[h])
    return "%-22s %9d %8s %7d %7d  %6s %8s  %s%s" % (
        name, t.packets, "-" if share is None else "%.3f" % share, t.none, t.wrong,
        per_cent(t.ss, t.packets - t.nobody), per_cent(t.nethogs, t.bytes), how,
        "  <- FAILED" if t.failed() else "")


def notes_of(t):
    """What was wrong before what was merely miscounted: a record of a failed run may keep little."""
    return sorted(t.notes, key=lambda n: n.startswith("miscounted"))[:NOTES] + t.status


def print_failed(failed):
    """Once more at the end: a log that is cut in its middle still has them."""
    for name, t in failed:
        print(line_of(name, t))
        for note in notes_of(t):
            print("    " + note)


def as_json(name, t):
    return {"scenario": name, "packets": t.packets, "right": t.right, "none": t.none, "wrong": t.wrong,
            "nobody": t.nobody, "how": dict(t.how), "ss_right": t.ss, "ss_wrong": t.ss_wrong,
            "nethogs_right_bytes": t.nethogs, "tcptop": dict(t.tcptop), "bytes": t.bytes, "status": t.status, "notes": t.notes,
            "failed": t.failed()}


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--json")
    ask.add_argument("--least", type=float, default=LEAST, help="per cent that must be right")
    ask.add_argument("rounds", nargs="+")
    args = ask.parse_args()
    Total.least = args.least
    totals, strays = collections.defaultdict(Total), collections.Counter()
    for path in args.rounds:
        strays.update(add_round(path, totals))
    print("%-22s %9s %8s %7s %7s  %6s %8s  %s" % (
        "scenario", "packets", "right %", "none", "wrong", "ss %", "nethogs %", "how"))
    everything = Total()
    for name, t in totals.items():
        print(line_of(name, t))
        everything.add(t)
        everything.add_peers(t.ss, t.nethogs)
        everything.tcptop.update(t.tcptop)
    failed = [(name, t) for name, t in totals.items() if t.failed()]
    played = [t for t in totals.values() if t.packets]
    for flow, packets in strays.items():
        print("no claim to %s: %d packets" % (flow, packets))
    print_failed(failed)
    print("%d scenarios, %d rounds, %d packets: %s %% right, %d without an owner's name, %d wrong; %d failed" % (
        len(played), len(args.rounds), everything.packets,
        "-" if everything.share() is None else "%.4f" % everything.share(), everything.none, everything.wrong,
        len(failed)))
    if everything.ss is not None or everything.nethogs is not None:
        print("of the same packets ss (every quarter of a second) named %s %%, of their bytes nethogs %s %%" % (
            per_cent(everything.ss, everything.packets - everything.nobody),
            per_cent(everything.nethogs, everything.bytes)))
    if everything.tcptop:
        print("of the %d of TCP among them tcptop named %s %%, and %s %% wrong" % (everything.tcptop["all"], *(
            per_cent(everything.tcptop[how], everything.tcptop["all"]) for how in ("right", "wrong"))))
    if args.json:
        with open(args.json, "w") as out:
            for name, t in totals.items():
                out.write(json.dumps(as_json(name, t)) + "\n")
    sys.exit(1 if failed else 0)


main()
