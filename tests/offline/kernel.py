#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 180
"""The parser as the kernel runs it against the parser as user space runs it, and both against the corpus' oracle.

    tests/offline/kernel.py [SEED]

Frames: every one of the corpus, capture by capture; one of every kind under every stack of tags, whole and cut at every
byte; and mutations of all. tests/kernel/kernel_count counts them by the XDP program, by the tc egress program, by that one
and the tc ingress program with the outer tag beside the frame, and by parse.h in user space: each flow and each reason must be the same, in
packets, bytes and marks. The oracle must say the same by class of reason (the third column of REASONS in xdp/flow.h).
"""
import ipaddress
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import frames  # noqa: E402
from corpus import TOP, classes  # noqa: E402

OUT = os.environ.get("OUT", ".build")
END_OF_CAPTURE = struct.pack("=I", 0xFFFFFFFF)
PROGRAMS = ("xdp", "tc", "tc_beside", "tc_ingress")
MUTATED = 30000


def all_frames(reference, seed):
    """(name, frames) of everything there is to count; what is made here comes first."""
    made = frames.made()
    yield "of every kind", made
    yield "cut at every byte", [frame[:n] for frame in made for n in range(min(len(frame), 200))]
    corpus = [(str(path.relative_to(frames.CORPUS)), frames.captured(reference, path)) for path in frames.captures()]
    base = made + [frame for _, some in corpus for frame in some[:100]]
    yield f"mutated with seed {seed}", list(frames.mutated(base, MUTATED, seed))
    yield from corpus


def count(everything):
    """What kernel_count says of each: a list of {who: {row: (packets, bytes, marks)}}."""
    with tempfile.TemporaryFile() as stream:
        for _, some in everything:
            stream.write(b"".join(struct.pack("=I", len(frame)) + frame for frame in some) + END_OF_CAPTURE)
        stream.seek(0)
        done = subprocess.run([f"{OUT}/tests/kernel/kernel_count"], cwd=TOP, stdin=stream, stdout=subprocess.PIPE,
                              text=True)
    if done.returncode:
        print("kernel_count:", done.stdout.strip()[-200:] if done.returncode == 77 else "failed")
        sys.exit(done.returncode)
    counted, now = [], {}
    for line in done.stdout.splitlines():
        who, *row = line.split("\t")
        if who == "end":
            counted.append(now)
            now = {}
            continue
        rows = now.setdefault(who, {})
        split = {"flow": 6, "reason": 2, "refused": 1}[row[0]]
        rows[tuple(row[:split])] = tuple(int(n) for n in row[split:])
    return counted


def differences(who, ours, user, fresh):
    """A slot keeps its marks while it lives: in a later capture, they may be more than its own."""
    for row in sorted((ours.keys() | user.keys()) - {("refused",)}):
        got, want = ours.get(row, (0, 0, 0)), user.get(row, (0, 0, 0))
        if got[:2] != want[:2] or (row[0] == "flow" and got[2] & (0xFF if fresh else want[2]) != want[2]):
            yield f"{' '.join(row)}: {who} {got}, user {want}"


def by_class(user):
    """As the oracle puts it."""
    counts, kinds = {}, classes()
    for row, (packets, octets, *_) in user.items():
        if row[0] == "flow":
            _, proto, source, sport, destination, dport = row
            ends = [str(ipaddress.ip_address(source)), int(sport), str(ipaddress.ip_address(destination)), int(dport)]
            name = ("flow", proto, *ends)
        elif kinds[row[1]] == "flow":
            continue
        else:
            name = ("other", kinds[row[1]])
        before = counts.get(name, (0, 0))
        counts[name] = before[0] + packets, before[1] + octets
    return counts


def compare(some, counted, reference, fresh):
    wrong = []
    user = counted.get("user", {})
    for who in PROGRAMS:
        wrong += differences(who, counted.get(who, {}), user, fresh)
    flows = [n for row, n in user.items() if row[0] == "flow"]
    if user.get(("reason", "flow"), (0, 0)) != (sum(n[0] for n in flows), sum(n[1] for n in flows)):
        wrong.append("the flows are not what the ledger calls flow")
    if reference:
        ours, theirs = by_class(user), frames.count(reference, some)
        wrong += [f"{row}: we {ours.get(row)}, oracle {theirs.get(row)}"
                  for row in sorted(ours.keys() | theirs.keys(), key=str) if ours.get(row) != theirs.get(row)]
    return wrong


def main(seed="1"):
    subprocess.run(["make", "-s", f"OUT={OUT}", "kernel-count"], cwd=TOP, check=True)
    reference = frames.oracle()
    everything = list(all_frames(reference, seed))
    counted = count(everything)
    failed, refused = 0, {who: 0 for who in PROGRAMS}
    for i, (name, some) in enumerate(everything):
        wrong = compare(some, counted[i], reference, i == 0)
        failed += bool(wrong)
        if wrong:
            print("not ok " + name, *wrong[:10], sep="\n    ")
        for who in PROGRAMS:
            refused[who] += counted[i].get(who, {}).get(("refused",), (0,))[0]
    print(f"{len(everything) - failed} of {len(everything)} captures with {sum(len(s) for _, s in everything)} frames "
          f"counted alike by user space, {', '.join(PROGRAMS)}{'' if reference else '; NO ORACLE: no corpus here'}")
    print("not run in the kernel, being shorter or longer than a test run takes:",
          ", ".join(f"{who} {n}" for who, n in refused.items()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
