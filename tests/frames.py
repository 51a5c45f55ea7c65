# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Frames for the tests: those of the corpus, and some of every kind made here.

WIREWHO_CORPUS is the corpus' folder (../shared/corpus); without it there are only the ones made here.
"""
import importlib.util
import os
import pathlib
import random
import socket
import struct
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
CORPUS = pathlib.Path(os.environ.get("WIREWHO_CORPUS", TOP / "../shared/corpus"))
ETHERNET = 1  # the link type
ETH_P_ALL = 3
TAGS = ((), (0x8100,), (0x88A8,), (0x9100,), (0x88A8, 0x8100), (0x9100, 0x9100), (0x8100, 0x8100, 0x8100))

# ------------------------------------------------------------------------------------------------------- the corpus


def oracle():
    """The corpus' own reference as a module, or None where there is no corpus."""
    path = CORPUS / "oracle.py"
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location("oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def captures():
    """Every capture of the corpus, in order."""
    folders = (CORPUS / "captures", CORPUS / "odd")
    return sorted(p for folder in folders if folder.is_dir() for p in folder.iterdir())


def captured(reference, path):
    """The Ethernet frames of one capture, as many bytes as it has of each."""
    return [frame for link, frame, _ in reference.frames(path.read_bytes()) if link == ETHERNET]


def all_captured():
    reference = oracle()
    return [frame for path in captures() for frame in captured(reference, path)]


def count(reference, frames):
    """What the reference says of Ethernet frames, by what they have: row -> (packets, bytes)."""
    counts = {}
    for frame in frames:
        row = reference.classify(ETHERNET, frame)
        packets, octets = counts.get(row, (0, 0))
        counts[row] = packets + 1, octets + len(frame)
    return counts


# -------------------------------------------------------------------------------------------------------- made here

MACS = bytes.fromhex("020000000001020000000002")
ADDRESSES4 = bytes([10, 0, 0, 1, 10, 0, 0, 2])
ADDRESSES6 = b"".join(socket.inet_pton(socket.AF_INET6, a) for a in ("2001:db8::1", "2001:db8::2"))


def tcp(flags=0x10, length=5, sport=40000, dport=80, payload=b"payload"):
    head = struct.pack("!HHIIBBHHH", sport, dport, 1, 2, length << 4, flags, 1000, 0, 0)
    return head + b"\1" * (4 * length - 20) + payload


def udp(sport=5353, dport=53, payload=b"payload"):
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def ip4(proto, payload, first=0x45, fragment=0):
    options = b"\1" * max(0, 4 * (first & 15) - 20)
    length = 20 + len(options) + len(payload)
    head = struct.pack("!BBHHHBBH", first, 0, length, 1, fragment, 64, proto, 0) + ADDRESSES4 + options
    return 0x0800, head[:10] + checksum(head) + head[12:] + payload


def ip6(kinds, payload, first=6):
    """`kinds`: the next header of the fixed header, of the first extension header, and so on."""
    body = b"".join(extension(kind, following) for kind, following in zip(kinds, kinds[1:])) + payload
    return 0x86DD, struct.pack("!IHBB", first << 28, len(body), kinds[0], 64) + ADDRESSES6 + body


def extension(kind, following):
    if kind == 44:  # first fragment, and a reserved byte that is no length
        return struct.pack("!BBHI", following, 0xFF, 1, 1)
    if kind == 51:  # AH counts in 4 bytes, and is 24 long here
        return bytes([following, 4]) + bytes(22)
    return bytes([following, 1]) + bytes(14)


def networks():
    """(EtherType, packet) of every kind that the parser knows, and of some that it does not."""
    later = struct.pack("!BBHI", 17, 0, 8, 1) + b"payload of a fragment"
    for flags in (0x02, 0x12, 0x10, 0x11, 0x04):
        yield ip4(6, tcp(flags))
    yield from (ip4(17, udp()), ip4(6, tcp(length=8), 0x48), ip4(17, udp(), 0x4F))
    yield from (ip4(17, udp(), fragment=0x2000), ip4(17, udp(), fragment=0x2001), ip4(1, bytes(8)), ip4(132, udp()))
    yield from (ip4(6, tcp(), 0x44), ip4(6, tcp(), 0x65), ip4(6, tcp(length=0)), ip4(58, bytes(8)))
    yield from (ip6([6], tcp(0x02)), ip6([17], udp()), ip6([58], bytes(8)), ip6([59], b""), ip6([132], udp()))
    yield from (ip6([0, 43, 60, 135, 6], tcp()), ip6([51, 17], udp()), ip6([44, 6], tcp()), ip6([44], later))
    yield from (ip6([0] + [60] * 7 + [17], udp()), ip6([0] + [60] * 8 + [17], udp()), ip6([17], udp(), first=4))
    yield from ((0x0806, bytes(28)), (0x88CC, bytes(20)), (46, bytes(46)))
    yield 0x8847, b"\0\1\x11\x40" + ip4(17, udp())[1]  # MPLS


def tagged(tags, network, first_id=5):
    kind, packet = network
    stack = b"".join(struct.pack("!HH", tag, 0x6000 | first_id + i) for i, tag in enumerate(tags))
    return MACS + stack + struct.pack("!H", kind) + packet


def made():
    """One frame of every kind, under every stack of tags."""
    return [tagged(tags, network) for tags in TAGS for network in networks()]


TELLING = bytes.fromhex("00 01 04 06 08 11 2c 2b 33 3c 45 4f 60 81 86 88 a8 91 ff")


def mutated(frames, number, seed):
    """`number` of the frames with some of their header bytes changed, and some cut."""
    chance = random.Random(seed)
    for _ in range(number):
        frame = bytearray(chance.choice(frames)[:2000])
        for _ in range(chance.randrange(5)):
            at = chance.randrange(12, max(13, min(len(frame), 110)))
            if at < len(frame):
                frame[at] = chance.choice(TELLING) if chance.randrange(2) else chance.randrange(256)
        if not chance.randrange(3):
            del frame[chance.randrange(len(frame) + 1):]
        yield bytes(frame)


def write_pcap(path, frames):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, ETHERNET))
        for frame in frames:
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


# ---------------------------------------------------------------------------------------------------------- sending


def send(ifname, frames):
    """Sends frames as they are; returns those that the kernel does not take, being too short or too long."""
    refused = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as out:
        out.bind((ifname, 0))
        for i, frame in enumerate(frames):
            if i % 64 == 0:
                time.sleep(0.0005)  # a veth holds 256 frames
            while True:
                try:
                    out.send(frame)
                    break
                except OSError as e:
                    if e.errno == 105:  # ENOBUFS: the interface's own queue is full
                        time.sleep(0.001)
                        continue
                    if e.errno not in (22, 90):  # EINVAL: shorter than an Ethernet header; EMSGSIZE
                        raise
                    refused.append(frame)
                    break
    return refused
