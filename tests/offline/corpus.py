#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 300
"""Reads every capture of the corpus with `wirewho read` and with the corpus' own oracle; both must count the same.

    tests/offline/corpus.py [NAME...]     all files, or those whose path contains one of the names

Per directional 5-tuple: packets and bytes. For the rest: the ledger's reasons, summed by class (the third column of
REASONS in xdp/flow.h), against the oracle's `other` rows. WIREWHO is the binary (./wirewho), WIREWHO_CORPUS the folder
(../shared/corpus).
"""
import collections
import ipaddress
import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
WIREWHO = os.environ.get("WIREWHO", str(TOP / "wirewho"))
CORPUS = pathlib.Path(os.environ.get("WIREWHO_CORPUS", TOP / "../shared/corpus"))


def classes():
    """Reason -> class, from the list that the program itself is made of."""
    rows = re.findall(r'X\(\w+, "(\w+)", "(\w+)", "', (TOP / "xdp/flow.h").read_text())
    assert len(rows) > 15, "REASONS not found in xdp/flow.h"
    return dict(rows)


def oracle(path):
    done = subprocess.run([sys.executable, CORPUS / "oracle.py", path], capture_output=True, text=True, check=True)
    counts = {}
    for line in done.stdout.splitlines():
        kind, *row = line.split("\t")
        if kind == "flow":
            row[1], row[3] = (str(ipaddress.ip_address(row[i])) for i in (1, 3))
        counts[" ".join([kind, *row[:-2]])] = (int(row[-2]), int(row[-1]))
    return counts


def add(counts, name, part):
    packets, octets = counts[name]
    counts[name] = (packets + part["packets"], octets + part["bytes"])


def flow_name(record, a, b):
    ends = [f'{ipaddress.ip_address(record[end]["ip"])} {record[end]["port"]}' for end in (a, b)]
    return " ".join(["flow", record["network"]["transport"], *ends])


def take_ledger(counts, line, wrong):
    """Adds the reasons by class; says where the ledger does not agree with itself."""
    sums = collections.defaultdict(lambda: (0, 0))
    for reason, kind in classes().items():
        add(sums, kind, line[reason])
    for kind in sums.keys() - {"flow"}:
        if sums[kind][0]:
            counts["other " + kind] = sums[kind]
    if line["difference"]:
        wrong.append(f'the ledger does not close: {line["difference"]}')
    if tuple(sum(column) for column in zip(*sums.values())) != (line["seen"]["packets"], line["seen"]["bytes"]):
        wrong.append("the ledger's reasons are not what was seen")
    flows = [count for name, count in counts.items() if name.startswith("flow ")]
    if tuple(sum(column) for column in zip((0, 0), *flows)) != sums["flow"]:
        wrong.append("the records are not what the ledger calls flow")


def wirewho(path, wrong):
    done = subprocess.run([WIREWHO, "read", "--jsonl", "-", path], capture_output=True, text=True)
    if done.returncode or done.stderr:
        wrong.append(f"exit code {done.returncode}, said: {done.stderr.strip()}")
    *records, last = [json.loads(line) for line in done.stdout.splitlines()] or [None]
    counts = collections.defaultdict(lambda: (0, 0))
    for record in records:
        for a, b in ("source", "destination"), ("destination", "source"):
            if record[a]["packets"]:
                add(counts, flow_name(record, a, b), record[a])
    if last is None or last["event"]["kind"] != "state":
        wrong.append("no ledger at the end")
    else:
        take_ledger(counts, last["wirewho"]["ledger"]["lines"][0], wrong)
    return counts


def compare(path):
    wrong = []
    ours, theirs = wirewho(path, wrong), oracle(path)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            wrong.append(f"{name}: wirewho {ours.get(name)}, oracle {theirs.get(name)}")
    return wrong


def main(names):
    if not (CORPUS / "oracle.py").is_file():
        print(f"SKIP no corpus in {CORPUS}; set WIREWHO_CORPUS")
        return 77
    files = sorted(p for folder in ("captures", "odd") for p in (CORPUS / folder).iterdir())
    files = [p for p in files if not names or any(name in str(p) for name in names)]
    failed = 0
    for path in files:
        wrong = compare(path)
        failed += bool(wrong)
        print("not ok" if wrong else "ok", path.relative_to(CORPUS), *wrong[:10], sep="\n    " if wrong else " ")
    print(f"{len(files) - failed} of {len(files)} captures counted alike")
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
