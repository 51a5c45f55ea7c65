#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Writes what the fuzzers start from: seeds.py parse|match|pcapng DIRECTORY

One frame of every kind made by tests/frames.py, and, where the corpus is, one of every kind of headers in it; for pcapng
files with processes in both byte orders, and the beginnings of those in the corpus.
"""
import hashlib
import pathlib
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import frames  # noqa: E402

EXPRESSIONS = ("tcp port 80 or udp", "not (src net 10.0.0.0/8 and dst host 10.0.0.2)", "vlan 5 and ip6",
               "portrange 1-1023 || vlan && ! udp src port 53", "host 2001:db8::1 or host 10.0.0.1")


def kind(frame):
    """What makes the headers of two frames alike: types, versions, protocols, flags; not addresses, ports, lengths."""
    return frame[12:15], frame[20:21], frame[23:24], frame[46:48], len(frame) // 64


def block(order, kind, body, *options):
    """A pcapng block; options are (code, bytes)."""
    for code, value in options + ((0, b""),) if options else ():
        body += struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def process_block(order, entries):
    """A process as Wireshark's custom block has it: little-endian inside whatever the file is."""
    body = struct.pack("<I", 4711)
    for code, value in entries + [(0, b"")]:
        body += struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
    return block(order, 0xBAD, struct.pack(order + "I", 32622) + struct.pack("<II", 3, len(body)) + body)


def capture_file(order):
    comment = b"pid=4711 comm=ngi\\x20nx user=www-data container=abc how=exact"
    packet = struct.pack(order + "IIIII", 0, 1, 2, 6, 60) + b"abcdef\0\0"
    entries = [(2, b"nginx"), (3, b"/usr/sbin/nginx"), (5, struct.pack("<I", 1)), (6, struct.pack("<I", 33)),
               (7, b"www-data"), (9, struct.pack("<Q", 1700000000 * 10**9))]
    return (block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), (4, b"wirewho")) +
            block(order, 1, struct.pack(order + "HHI", 1, 0, 262144), (2, b"eth0"), (9, b"\x09")) +
            process_block(order, entries) +
            block(order, 6, packet, (2, struct.pack(order + "I", 1)), (8, struct.pack(order + "II", 4711, 0)), (1, comment)) +
            block(order, 3, struct.pack(order + "I", 4) + b"abcd") +
            block(order, 2, struct.pack(order + "HHIIII", 0, 0, 1, 2, 4, 60) + b"abcd") +
            block(order, 5, struct.pack(order + "III", 0, 1, 2), (7, bytes(8))))


def capture_files():
    """Of the corpus, what a fuzzer's input has room for."""
    begun = (path.read_bytes()[:2400] for path in frames.captures())
    return [capture_file("<"), capture_file(">"), capture_file(">") + capture_file("<")] + \
        [head for head in begun if head[:4] == b"\x0a\x0d\x0d\x0a"]


def frame_seeds(what):
    frames_by_kind = {kind(frame): frame[:256] for frame in frames.all_captured()}
    seeds = frames.made() + list(frames_by_kind.values())
    if what == "match":  # an expression, a zero, a frame
        seeds = [EXPRESSIONS[i % len(EXPRESSIONS)].encode() + b"\0" + seed for i, seed in enumerate(seeds)]
    return seeds


def main(what, where):
    seeds = capture_files() if what == "pcapng" else frame_seeds(what)
    folder = pathlib.Path(where)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    print(f"{len(seeds)} seeds in {folder}")


main(*sys.argv[1:])
