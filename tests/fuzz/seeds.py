#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Writes what the fuzzers start from: seeds.py parse|match DIRECTORY

One frame of every kind made by tests/frames.py, and, where the corpus is, one of every kind of headers in it.
"""
import hashlib
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import frames  # noqa: E402

EXPRESSIONS = ("tcp port 80 or udp", "not (src net 10.0.0.0/8 and dst host 10.0.0.2)", "vlan 5 and ip6",
               "portrange 1-1023 || vlan && ! udp src port 53", "host 2001:db8::1 or host 10.0.0.1")


def kind(frame):
    """What makes the headers of two frames alike: types, versions, protocols, flags; not addresses, ports, lengths."""
    return frame[12:15], frame[20:21], frame[23:24], frame[46:48], len(frame) // 64


def main(what, where):
    frames_by_kind = {kind(frame): frame[:256] for frame in frames.all_captured()}
    seeds = frames.made() + list(frames_by_kind.values())
    if what == "match":  # an expression, a zero, a frame
        seeds = [EXPRESSIONS[i % len(EXPRESSIONS)].encode() + b"\0" + seed for i, seed in enumerate(seeds)]
    folder = pathlib.Path(where)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    print(f"{len(seeds)} seeds in {folder}")


main(*sys.argv[1:])
