#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the benches make of samples: canned ones, whose result is known. Measures nothing."""
import argparse
import pathlib
import random
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
sys.dont_write_bytecode = True
import lab  # noqa: E402

peers, service, switched, frames = map(lab.load_bench, ("peers", "service", "switched", "frames"))
FAILED = []


def is_so(what, true):
    if not true:
        print("FAILED:", what)
        FAILED.append(what)


def near(value, wanted, by=1e-9):
    return value is not None and abs(value - wanted) <= by


# ---- switched: a service whose speed drifts, and what a monitor takes of it

class Room:
    """A host that gets faster by a thousandth with each stretch; a monitor that is on leaves `left`."""

    def __init__(self):
        self.speed, self.left, self.load = 1000.0, 1.0, types.SimpleNamespace(ended=lambda: False)

    def stretch(self):
        self.speed *= 1.001
        return self.speed * self.left


class Row:
    def __init__(self, room, name, leaves):
        self.room, self.leaves, self.kind, self.turns = room, leaves, types.SimpleNamespace(name=name), []

    def turn(self, on):
        self.turns.append(on)
        self.room.left = self.leaves if on else 1.0


def check_switched():
    room = Room()
    rows = [Row(room, "again", 1.0), Row(room, "heavy", 0.9)]
    results = {row.kind.name: [] for row in rows}
    for _ in range(50):
        switched.one_round(room, rows, results)
    for row in rows:
        figure = switched.median_with_interval(results[row.kind.name])
        is_so("switched: %s leaves %g, whatever the machine's drift: %s" % (row.kind.name, row.leaves, figure),
              near(figure["median"], row.leaves, 1e-5) and figure["rounds"] == 50)
        is_so("switched: %s is off after each turn" % row.kind.name, row.turns == [True, False] * 50)
    draw = random.Random(3)
    turns = [{"ratios": (draw.gauss(0.95, 0.05), draw.gauss(0.95, 0.05))} for _ in range(400)]
    figure = switched.median_with_interval(turns)
    is_so("switched: the interval holds the truth, and is as wide as 800 samples let it be: %s" % figure,
          figure["min"] < 0.95 < figure["max"] and all(
              0.0025 < abs(figure["median"] - figure[end]) < 0.01 for end in ("min", "max")))
    shared = switched.with_process({"median": 0.5, "min": 0.4, "max": 0.8, "rounds": 9}, 0.5)
    is_so("switched: a process that takes its time from the service: %s" % shared,
          near(shared["median"], 0.4) and near(shared["max"], 1 / 1.75) and shared["rounds"] == 9)


# ---- peers: the search for the highest rate without loss

class Bench(peers.Bench):
    """A tool that loses what is beyond `most`; of several loads in a row already what is beyond `steady`."""

    def __init__(self, most, steady=None):
        super().__init__(None, None, argparse.Namespace(flows=1, imix=False, size=60, zipf=None, steps=8, rounds=5, seconds=1))
        self.most, self.steady, self.tried = most, steady or most, []

    def trial(self, kind, rate, seconds, times=1):
        self.tried.append((rate, times))
        most = self.most if times == 1 else self.steady
        return {"pps": rate, "sent": 1000, "refused": 0, "found": {"packets": 1000 if rate <= most else int(1000 * most / rate)}}


def flood(pps, packets):
    return {"pps": pps, "sent": 1000, "refused": 0, "found": {"packets": packets}}


def check_search():
    lossy = [flood(2e6, 600), flood(2.2e6, 500), flood(1.8e6, 700)]
    rate, loses = Bench(1.23e6).search(None, lossy)
    is_so("search: finds 1.23 million from below: %s, %s" % (rate, loses), rate and 1.2e6 < rate <= 1.23e6 < loses < 1.26e6)
    bench = Bench(1.23e6, 1e6)
    rate, loses = bench.search(None, lossy)
    is_so("search: the rate found must hold over several loads: %s, %s" % (rate, loses), rate and 0.7e6 < rate <= 1e6 < loses and near(rate, loses * 3 / 4, 1))
    is_so("search: as many loads as there are rounds: %s" % (bench.tried[-1],), bench.tried[-1] == (rate, 5))
    rate, loses = Bench(1.23e6).search(None, [flood(2e6, 1000), flood(2e6, 600), flood(2e6, 1000)])
    is_so("search: one round of the flood that lost some is enough: %s" % rate, rate and rate <= 1.23e6)
    rate, loses = Bench(0).search(None, lossy)
    is_so("search: none at all: %s, %s" % (rate, loses), rate is None and 0 < loses < 0.1e6)
    is_so("search: a flood without loss is its own answer",
          Bench(5e6).search(None, [flood(2e6, 1000), flood(3e6, 1000), flood(2.5e6, 1000)]) == (2.5e6, None))
    is_so("search: one packet lost is lost, and so is one refused",
          not peers.lossless(flood(1e6, 999)) and not peers.lossless(dict(flood(1e6, 1000), refused=1)) and peers.lossless(flood(1e6, 1000)))


# ---- service, and what all share

def check_service():
    results = [{"name": "none", "rate": 100.0}, {"name": "a", "rate": 45.0}, {"name": "b", "rate": 40.0}, {"name": "c", "rate": 35.0},
               {"name": "none", "rate": 60.0}]
    service.compare(results)
    free = [r["free"] for r in results[1:4]]
    is_so("service: beside two runs without monitor, the nearer one weighs more: %s" % free,
          all(near(value, wanted) for value, wanted in zip(free, (90.0, 80.0, 70.0))))
    figure = service.interval([results, results], "a", "none")
    is_so("service: a row's part of no monitor: %s" % figure, near(figure["median"], 0.5) and figure["rounds"] == 2)
    step = service.interval([results, results], "a", "b")
    is_so("service: and of another row: %s" % step, near(step["median"], 1.0))
    right = service.owners_right({"packets": 8, "named": 6, "misnamed": 1})
    is_so("service: owners right and wrong: %s" % right, right == {"owners_right": 0.75, "owners_wrong": 0.125})
    is_so("service: of nethogs' traffic", service.owners_right({"traffic": 4.0, "named": 1.0, "misnamed": 0.0})["owners_right"] == 0.25)


def check_shared():
    more = lab.beyond([5.0, 6.0, 7.0], [1.0, 2.0, 3.0])
    is_so("beyond no tool, with twice the standard error: %s" % more, near(more["median"], 4.0) and near(more["error"], 2 * (2 / 3) ** 0.5))
    is_so("a middle", lab.middle([3, None, 1, 2]) == {"median": 2, "min": 1, "max": 3, "rounds": 3})
    is_so("a percentile", lab.percentile(list(range(100)), 0.975) == 97 and lab.percentile([1], 1.0) == 1)
    rounds = [{"none": flood(100.0, 1000), "owners": flood(pps, 990)} for pps in (80.0, 90.0, 70.0)]
    row = frames.row("60 bytes", rounds)
    is_so("frames: ours to no monitor of its round: %s" % row, near(row["to_none"]["owners"]["median"], 0.8) and
          near(row["seen"]["owners"]["median"], 0.99))


check_switched()
check_search()
check_service()
check_shared()
sys.exit(1 if FAILED else 0)
