#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# timeout: 120
"""Random match expressions over random packets: `wirewho read --match` must select as many as tcpdump does.

    tests/offline/match.py [SEED]         the seed is printed when something differs

One capture without VLAN tags, one where every frame has one: there each expression begins with `vlan [ID] and`, because
for tcpdump `vlan` also moves what the tests behind it look at. tcpdump runs without its optimizer (-O), which changes
what some of these expressions select.
"""
import json
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
WIREWHO = os.environ.get("WIREWHO", str(TOP / "wirewho"))
EXPRESSIONS = 120
V4 = ["10.0.0.1", "10.0.0.2", "10.0.128.3", "192.168.7.7"]
V6 = ["2001:db8::1", "2001:db8::2", "2001:db8:1::3", "::ffff:10.0.0.1"]  # the last is no IPv4 packet
PORTS = [0, 1, 53, 80, 81, 443, 1024, 40000, 65535]


def frame(rng, tag):
    proto, ports = rng.choice((6, 17)), [rng.choice(PORTS) for _ in range(2)]
    l4 = struct.pack(">HH", *ports) + (bytes(8) + b"\x50\x10" + bytes(6) if proto == 6 else b"\0\x08\0\0")
    if rng.random() < 0.5:
        ends = b"".join(socket.inet_pton(socket.AF_INET, rng.choice(V4)) for _ in range(2))
        kind, ip = 0x0800, struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(l4), 1, 0, 64, proto, 0) + ends
    else:
        ends = b"".join(socket.inet_pton(socket.AF_INET6, rng.choice(V6)) for _ in range(2))
        kind, ip = 0x86DD, struct.pack(">IHBB", 6 << 28, len(l4), proto, 64) + ends
    vlan = struct.pack(">HH", 0x8100, 0xA000 | rng.randrange(1, 4)) if tag else b""
    return bytes(12) + vlan + struct.pack(">H", kind) + ip + l4


def capture(rng, path, tag):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at in range(600):
            data = frame(rng, tag)
            out.write(struct.pack("<IIII", at, 0, len(data), len(data)) + data)


def primitive(rng):
    side = rng.choice(("", "src ", "dst "))
    proto = rng.choice(("", "", "tcp ", "udp "))
    low, high = sorted((rng.choice(PORTS), rng.choice(PORTS)))
    return rng.choice((
        rng.choice(("tcp", "udp", "ip", "ip6")),
        f"{proto}{side}port {rng.choice(PORTS)}",
        f"{proto}{side}portrange {low}-{high}",
        f"{side}host {rng.choice(V4 + V6)}",
        f"{side}net {rng.choice(('10.0.0.0/8', '10.0.0.0/17', '10.0.0.2/31', '0.0.0.0/0', '192.168.7.7/32'))}",
        f"{side}net {rng.choice(('2001:db8::/32', '2001:db8::/47', '2001:db8::/64', '::/0', '::ffff:0:0/96'))}",
    ))


def expression(rng, depth=0):
    text = ""
    for i in range(rng.randrange(1, 4)):
        text += rng.choice((" and ", " or ", " && ", " || ", "&&")) if i else ""
        text += rng.choice(("", "", "", "not ", "!", "not not ", "! "))
        deeper = depth < 2 and rng.random() < 0.35
        text += "(" + expression(rng, depth + 1) + ")" if deeper else primitive(rng)
    return text


def ours(path, selections):
    words = [WIREWHO, "read", path, "--jsonl", "-", *selections]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode == 2 and "more than 10 different tests" in done.stderr:
        return None
    if done.returncode:
        return done.stderr
    return json.loads(done.stdout.splitlines()[-1])["wirewho"]["ledger"]["lines"][0]["flow"]["packets"]


def theirs(path, text):
    done = subprocess.run(["tcpdump", "-O", "-nn", "--count", "-r", path, text], capture_output=True, text=True)
    found = re.search(r"^(\d+) packets?$", done.stdout, re.M)
    if found:
        return int(found[1])
    return 0 if "expression rejects all packets" in done.stderr else done.stderr


def cases(rng):
    """(file, wirewho's words, tcpdump's expression)"""
    for _ in range(EXPRESSIONS):
        a, b = expression(rng), expression(rng)
        vlan = rng.choice(("vlan", "vlan 1", "vlan 2", "vlan 9"))
        yield rng.choice((
            ("plain", [a], a),
            ("plain", a.split(), a),
            ("plain", ["--match", a, "--match=" + b], f"({a}) or ({b})"),
            ("tagged", [f"{vlan} and ({a})"], f"{vlan} and ({a})"),
        ))


def main(seed):
    if not shutil.which("tcpdump"):
        print("SKIP no tcpdump to compare with")
        return 77
    rng, failed, compared = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name in "plain", "tagged":
            capture(rng, f"{folder}/{name}", name == "tagged")
        for name, words, text in cases(rng):
            got = ours(f"{folder}/{name}", words)
            if got is None:
                continue
            want = theirs(f"{folder}/{name}", text)
            compared += 1
            if got != want:
                failed += 1
                print(f"not ok {name}: {words}: wirewho {got}, tcpdump {want}")
    print(f"{compared - failed} of {compared} expressions select alike (seed {seed})")
    return 1 if failed or compared < EXPRESSIONS / 3 else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)))
