#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Numbered frames: what is sent is known byte for byte, so what arrives can be checked byte for byte.

    numbered.py send IF COUNT [--first N] [--flows N] [--rate PPS] [--long N] [--udp PORT | --tcp PORT]
    numbered.py check PCAP COUNT [the same; --missing N | --some] [--snaplen N] [--after NS] [--before NS]

Frame number i is the same wherever it is made; frames of one flow are sent in the order of their numbers. `check`
reads a classic pcap with nanoseconds, as `tcpdump --time-stamp-precision=nano -r FILE -w -` writes it, and prints what
is wrong with it: frames twice, altered, out of their flow's order, missing, or not sent by us.
"""
import argparse
import socket
import struct
import sys
import time

SOURCE, TARGET = bytes([10, 77, 0, 2]), bytes([10, 77, 0, 1])
MACS = bytes.fromhex("020000000001") + bytes.fromhex("020000000002")


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport(number, args, payload):
    sport = 20000 + number % args.flows
    if args.tcp:
        head = struct.pack("!HHIIBBHHH", sport, args.tcp, number & 0xFFFFFFFF, 1, 0x50, 0x10, 1000, 0, 0)
        proto, at = 6, 16
    else:
        head = struct.pack("!HHHH", sport, args.udp, 8 + len(payload), 0)
        proto, at = 17, 6
    segment = head + payload
    pseudo = SOURCE + TARGET + struct.pack("!BBH", 0, proto, len(segment))
    return proto, segment[:at] + struct.pack("!H", checksum(pseudo + segment) or 0xFFFF) + segment[at + 2:]


def frame(number, args):
    fill = args.long - 8 if args.long else number * 7 % 120
    payload = struct.pack("!Q", number) + bytes((number + j) & 0xFF for j in range(fill))
    proto, segment = transport(number, args, payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), number & 0xFFFF, 0x4000, 64, proto, 0)
    head += SOURCE + TARGET
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return MACS + b"\x08\x00" + head + segment


def send(args):
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    out.bind((args.where, 0))
    frames = [frame(args.first + i, args) for i in range(args.count)]
    start = time.monotonic()
    for i, data in enumerate(frames):
        while True:
            try:
                out.send(data)
                break
            except OSError as e:  # the interface's own queue is full
                if e.errno != 105:
                    raise
                time.sleep(0.001)
        if args.rate and i % 32 == 0:
            time.sleep(max(0, start + i / args.rate - time.monotonic()))


def packets(path):
    data = (sys.stdin.buffer if path == "-" else open(path, "rb")).read()
    magic, = struct.unpack_from("<I", data)
    if magic != 0xA1B23C4D:
        sys.exit("not a pcap with nanoseconds")
    at = 24
    while at < len(data):
        sec, nsec, caplen, length = struct.unpack_from("<IIII", data, at)
        yield sec * 10**9 + nsec, length, data[at + 16:at + 16 + caplen]
        at += 16 + caplen


def number_of(data, args):
    at = 14 + 20 + (20 if args.tcp else 8)
    return struct.unpack_from("!Q", data, at)[0] if len(data) >= at + 8 else None


def check(args):
    wrong, seen, last = [], set(), {}
    for when, length, data in packets(args.where):
        number = number_of(data, args)
        if number is None or not args.first <= number < args.first + args.count:
            wrong.append("a frame that was not sent: %s" % data[:60].hex())
            continue
        whole = frame(number, args)
        if data != whole[:args.snaplen] or length != len(whole):
            wrong.append("frame %d is altered" % number)
        if number in seen:
            wrong.append("frame %d is there twice" % number)
        if number < last.get(number % args.flows, (-1, 0))[0]:
            wrong.append("frame %d comes too late" % number)
        if when < last.get(number % args.flows, (-1, 0))[1]:
            wrong.append("frame %d is older than the one before" % number)
        if not args.after <= when <= args.before:
            wrong.append("frame %d has the time %d" % (number, when))
        seen.add(number)
        last[number % args.flows] = number, when
    if not args.some and len(seen) != args.count - args.missing:
        wrong.append("%d frames instead of %d" % (len(seen), args.count - args.missing))
    for line in wrong[:10]:
        print(line)
    if len(wrong) > 10:
        print("and %d more" % (len(wrong) - 10))
    return bool(wrong)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("verb", choices=["send", "check"])
    p.add_argument("where")
    p.add_argument("count", type=int)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--flows", type=int, default=1)
    p.add_argument("--rate", type=int, default=0)
    p.add_argument("--long", type=int, default=0)
    p.add_argument("--udp", type=int, default=0)
    p.add_argument("--tcp", type=int, default=0)
    p.add_argument("--missing", type=int, default=0)
    p.add_argument("--some", action="store_true")
    p.add_argument("--snaplen", type=int, default=1 << 20)
    p.add_argument("--after", type=int, default=0)
    p.add_argument("--before", type=int, default=1 << 63)
    args = p.parse_args()
    if not args.udp and not args.tcp:
        args.udp = 9000
    sys.exit(send(args) if args.verb == "send" else check(args))


main()
