#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Sends frames over an interface, and compares what wirewho counted with what is known of them.

    replay.py prepare FRAMES                          every Ethernet frame of the corpus, and one of every kind, whole
                                                      and cut at every byte, and what the corpus' oracle says of each
    replay.py send FRAMES IF EXPECTED                 sends those; EXPECTED is written
    replay.py tagged IF EXPECTED                      TCP and UDP frames under every stack of VLAN tags
    replay.py check EXPECTED JSONL receive|transmit   the records and the ledger of `wirewho run` in that direction

A frame that cannot be sent (shorter than an Ethernet header, longer than any MTU) is said, and not expected.
"""
import collections
import json
import pathlib
import pickle
import sys

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / room) for room in ("", "offline")]
import corpus  # noqa: E402
import frames  # noqa: E402


def add(counts, row, packets, octets):
    before = counts.get(row, (0, 0))
    counts[row] = before[0] + packets, before[1] + octets


def write(expected, counts):
    pathlib.Path(expected).write_text(json.dumps(counts))


def everything(reference):
    """(name, frames) of all that is sent."""
    made = frames.made()
    yield "frames of every kind", made
    yield "frames cut at every byte", [frame[:n] for frame in made for n in range(14, min(len(frame), 200))]
    yield "frames longer than a page, whose headers the stack does not hold in one piece", [
        frames.tagged(tags, network) for tags in frames.TAGS for length in (4500, 8800)
        for network in (frames.ip4(6, frames.tcp(payload=bytes(length))),
                        frames.ip6([0, 60, 17], frames.udp(payload=bytes(length))))]
    for path in frames.captures():
        yield path.name, frames.captured(reference, path)


def prepare(path):
    reference = frames.oracle()
    if not reference:
        print(f"no corpus in {frames.CORPUS}; set WIREWHO_CORPUS")
        sys.exit(77)
    batches = [(name, some, [" ".join(map(str, reference.classify(frames.ETHERNET, frame))) for frame in some])
               for name, some in everything(reference)]
    pathlib.Path(path).write_bytes(pickle.dumps(batches))


def send(path, ifname, expected):
    sent, counts = 0, {}
    for name, some, rows in pickle.loads(pathlib.Path(path).read_bytes()):
        refused = set(map(id, frames.send(ifname, some)))
        for frame, row in zip(some, rows):
            if id(frame) in refused:
                print(f"not sent, being {len(frame)} bytes long: a frame of {name}")
            else:
                sent += 1
                add(counts, row, 1, len(frame))
    write(expected, counts)
    print(f"sent {sent} frames, {sum(n[1] for n in counts.values())} bytes")


def tagged(ifname, expected):
    """Each stack of tags has flows of its own, by their ports; the outer id is 5 for all."""
    some, counts = [], {}
    for i, tags in enumerate(frames.TAGS):
        for size in (0, 1, 5, 46, 500, 1400):
            payload = bytes(size)
            tcp = frames.tagged(tags, frames.ip4(6, frames.tcp(sport=1000 + i, payload=payload)))
            udp = frames.tagged(tags, frames.ip6([17], frames.udp(sport=1000 + i, payload=payload)))
            deep = len(tags) > 2 and "other not_ip"
            add(counts, deep or f"flow tcp 10.0.0.1 {1000 + i} 10.0.0.2 80", 1, len(tcp))
            add(counts, deep or f"flow udp 2001:db8::1 {1000 + i} 2001:db8::2 53", 1, len(udp))
            some += tcp, udp
    write(expected, counts)
    assert not frames.send(ifname, some), "a frame could not be sent"
    plain = [frame for frame in some if frame[12:14] in (b"\x08\x00", b"\x86\xdd")]
    deep = counts["other not_ip"]
    print(len(some) - len(plain) - deep[0], sum(map(len, some)) - sum(map(len, plain)) - deep[1],
          len(plain), sum(map(len, plain)))


def counted(path, direction, wrong):
    """What wirewho says, in the oracle's words."""
    counts = collections.defaultdict(lambda: (0, 0))
    *records, last = [json.loads(line) for line in open(path)]
    for record in records:
        for a, b in ("source", "destination"), ("destination", "source"):
            if record[a]["packets"]:
                corpus.add(counts, corpus.flow_name(record, a, b), record[a])
    for line in last["wirewho"]["ledger"]["lines"]:
        if line["direction"] == direction:
            corpus.take_ledger(counts, line, wrong)
        elif line["seen"]["packets"]:
            wrong.append(f"{line['seen']['packets']} packets in the other direction")
    return counts


def check(expected, path, direction):
    wrong = []
    ours = counted(path, direction, wrong)
    theirs = {row: tuple(count) for row, count in json.loads(pathlib.Path(expected).read_text()).items()}
    for row in sorted(ours.keys() | theirs.keys()):
        if ours.get(row) != theirs.get(row):
            wrong.append(f"{row}: wirewho {ours.get(row)}, expected {theirs.get(row)}")
    total = tuple(sum(column) for column in zip((0, 0), *ours.values()))
    flows = sum(row.startswith("flow ") for row in ours)
    print(f"{direction}: {flows} flows, {len(ours) - flows} classes of the rest, {total[0]} packets, {total[1]} bytes: "
          + ("as expected" if not wrong else f"{len(wrong)} DIFFERENCES"), *wrong[:20], sep="\n    ")
    return 1 if wrong or not flows else 0


sys.exit({"prepare": prepare, "send": send, "tagged": tagged, "check": check}[sys.argv[1]](*sys.argv[2:]))
