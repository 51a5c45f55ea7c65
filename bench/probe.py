#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
How long a datagram takes there and back, beside whatever else goes on:

    probe.py serve ADDRESS PORT             sends back what comes, until it is ended
    probe.py ask ADDRESS PORT SECONDS       a thousand questions a second, one after the other; prints JSON: asked, unanswered,
                                            and microseconds: p50, p90, p99, p99.9, max
"""
import json
import socket
import sys
import time

import lab

PACE = 0.001
PATIENCE = 0.2


def serve(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.bind((address, port))
        print("serving", flush=True)
        while True:
            it.sendto(*it.recvfrom(64))


def ask(address, port, seconds):
    took, asked = [], 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it:
        it.settimeout(PATIENCE)
        it.connect((address, port))
        end = due = time.monotonic()
        end += seconds
        while due < end:
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + PACE, time.monotonic())
            asked += 1
            start = time.monotonic_ns()
            it.send(b"%d" % asked)
            try:
                while it.recv(64) != b"%d" % asked:
                    pass  # the late answer to an earlier question
            except OSError:
                continue
            took.append((time.monotonic_ns() - start) / 1e3)
    return asked, sorted(took)


def main():
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    asked, took = ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    figures = {"p%g" % p: lab.percentile(took, p / 100) for p in (50, 90, 99, 99.9)} if took else {}
    print(json.dumps(dict(figures, max=took[-1] if took else None, asked=asked, unanswered=asked - len(took))))


if __name__ == "__main__":
    main()
