#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The benches' command lines, and bench/report: from small result files to tables and plots. Measures nothing."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAILED = []


def is_so(what, true):
    if not true:
        print("FAILED:", what)
        FAILED.append(what)


def call(*argv):
    return subprocess.run([str(a) for a in argv], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def middle(value):
    return {"median": value, "min": value * 0.9, "max": value * 1.1, "rounds": 5}


def peer(name, ours, does, mpps, cpu):
    return {"name": name, "what": name + " there", "ours": ours, "does": does, "flood_pps": middle(mpps * 1e6),
            "flood_seen": middle(1.0), "flood_refused": 0, "flood_flows": middle(1000), "no_loss_pps": mpps * 5e5,
            "cpu_seconds_per_million": {k: middle(cpu) for k in ("user", "system", "softirq", "busy")}, "bpf_ns_per_packet": None,
            "resident_mib": middle(5), "maps_mib": middle(1), "latency_paced": None}


PEERS = {"options": {"flows": 1000, "size": 60, "imix": False, "zipf": None, "rate": 200000}, "generator": "live frames",
         "ceilings_pps": {"generator": middle(9e6), "drop": middle(5e6)}, "rows": [
             peer("owners", True, ["counts flows", "names processes"], 1.25, 0.5),
             peer("quick", False, ["counts flows"], 2.5, 0.75),
             {"name": "gone", "what": "gone", "ours": False, "does": [], "why": "gone is not installed"}]}


def watched(name, ours, does, part):
    row = {key: middle(part) for key in ("to_none", "to_pass")}
    row.update({key: middle(100.0) for key in ("p50", "p90", "p99")})
    return dict(row, load="http", name=name, what=name + " there", ours=ours, does=does, unit="requests/s", rate=middle(1000 * part),
                owners_right=0.75, to_step=middle(part))


SERVICE = {"rows": [watched("owners", True, ["names processes"], 0.875), watched("pass", False, [], 0.75),
                    watched("faster", False, ["writes packets"], 1.0), watched("close", False, ["writes packets"], 0.88), watched("slower", False, ["writes packets"], 0.5)]}


SWITCHED = {"options": {"stretch": 0.02}, "rows": [
    {"name": "again", "what": "again there", "ours": False, "does": [], "to_none": middle(1.0), "process": None, "with_process": None},
    {"name": "owners", "what": "owners there", "ours": True, "does": ["names processes"], "to_none": middle(0.96), "process": 0.0125,
     "with_process": middle(0.95), "owners_right": 0.5},
    {"name": "nosy", "what": "nosy there", "ours": False, "does": ["names processes"], "to_none": middle(0.97), "process": 0.0625,
     "with_process": middle(0.8)}]}


TRACE = {"rounds": 5, "rows": [
    {"name": "untraced", "ns": middle(300), "times": middle(1.0), "counted": None},
    {"name": "slow", "ns": middle(1200), "times": middle(4.0), "counted": middle(0.5)}, {"name": "lost", "why": "lost is not installed"}]}

FRAMES = {"generator": "live frames", "tools": [{"name": "none", "what": "no monitor"}, {"name": "owners", "what": "ours"}], "rows": [
    {"name": "IMIX", "what": "IMIX", "rates": {"none": middle(2e6), "owners": middle(1.5e6)}, "to_none": {"owners": middle(0.75)},
     "seen": {"owners": middle(1.0)}},
    {"name": "long", "what": "long", "why": "no room", "generator": "packet socket"}]}

JOIN = [dict({key: {"median_ns": 50.0} for key in ("new", "by_handle")}, flows=n, report={"median_ns": 40.0}, harvest={"median_ns": 80.0},
             bytes={"own": 100.0, "heap": 100.0, "rss": 128.0, "socket": 150.0}) for n in (1000, 1000000)]


def write(directory, name, figures, **more):
    machine = {"kernel": "6.1-test", "processor": "a processor", "cpus": 2, "memory_mib": 2048, "mitigations": {"one": "on"},
               "commit": "abc", "versions": {"tcpdump": "4.99"}}
    result = dict({"bench": name, "about": "about " + name, "command": "bench/" + name, "quick": False, "machine": machine,
                   "figures": figures}, **more)
    pathlib.Path(directory, name + ".json").write_text(json.dumps(result))


def pages(directory):
    write(directory, "peers", PEERS)
    write(directory, "service", SERVICE)
    write(directory, "switched", SWITCHED)
    write(directory, "growth", {"rows": [
        {"growing": "flows", "number": n, "ready_seconds": 0.5, "resident_mib": 40.0, "tables_mib": 64,
         "idle_cpu_ms_per_second": 1.5, "records": 9, "lost": 2, "us_per_record": 0.75} for n in (10, 1000)]})
    write(directory, "trace", TRACE)
    write(directory, "frames", FRAMES)
    write(directory, "join", JOIN)
    write(directory, "path", None, why="it broke")
    readme = pathlib.Path(directory, "main.md")
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")
    done = call("bench/report", "--results", directory, "--readme", readme)
    is_so("bench/report: exit code %d: %s" % (done.returncode, done.stderr), done.returncode == 0)
    return pathlib.Path(directory, "README.md").read_text(), readme.read_text()


def check_report(directory):
    page, readme = pages(directory)
    for text in ("6.1-test", "one: on", "| owners there | 1.25 | 100.0 | 1000 | 0.62 | 0.50 | - | - | 5 | - | 75.0 |", "gone is not installed",
                 "most, Mpps: quick (2.50) is ahead of `owners there` (1.25): it counts flows only.",
                 "Counting: ours is first, or as good as the first, in: of it seen, %, flows seen, host's CPU, s a million",
                 "leaves 0.875 (0.787 to 0.963) of the unwatched service", "; behind faster (1.000 (0.900 to 1.100)); not told apart from close (0.880 (0.792 to 0.968)); ahead of every other",
                 "| pass there | 750 | 0.750 | 0.675 to 0.825 | 0.750 |", "It failed here: it broke",
                 "| flows | 1000 | 0.50 | 40 | 64 | 1.5 | 0.8 | 2 |", "| owners there | 0.960 | 0.864 to 1.056 | 5 | 1.25 | 0.950 | 50.0 |",
                 "with its process leaves 0.950 (0.855 to 1.045) of the unwatched service; ahead of every other that names processes or writes packets.",
                 "came out as 1.000 (0.900 to 1.100)", "| slow | 1200 | 4.00 | 3.60 to 4.40 | 50.00 |", "lost is not installed",
                 "| IMIX | 2.00 | 1.50 | 0.75 | 100.00 |", "Sent by live frames (long: packet socket)", "| long | does not run here: no room |"):
        is_so("the page says %r" % text, text in page)
    is_so("the page does not compare with what watches nothing", "slower (" not in page)
    for plot in re.findall(r"\((\S+\.svg)\)", page):
        drawn = pathlib.Path(directory, plot)
        is_so("%s is drawn" % plot, drawn.exists() and "</svg>" in drawn.read_text())
    is_so("plots", len(re.findall(r"\.svg\)", page)) == 9)
    is_so("the README keeps what stands around", readme.startswith("before\n<!-- bench -->\n") and
          readme.endswith("<!-- /bench -->\nafter\n"))
    is_so("the README has the tables, and not the old ones", "old" not in readme.split("\n") and "| owners there | 875 |" in readme)
    is_so("the README has the aggregator's", "| 1000000 | 80.000 | 80 | 40 | 122.1 | 250 |" in readme)
    is_so("the README has one empty line at a time", "\n\n\n" not in readme)


def check_faults(directory):
    pathlib.Path(directory, "cost.json").write_text("{ half")
    done = call("bench/report", "--results", directory)
    is_so("half a result file: exit code 1, and its name", done.returncode == 1 and "cost.json" in done.stderr)
    os.unlink(pathlib.Path(directory, "cost.json"))
    unmarked = pathlib.Path(directory, "unmarked.md")
    unmarked.write_text("no marks\n")
    done = call("bench/report", "--results", directory, "--readme", unmarked)
    is_so("a README without marks: exit code 1, left alone", done.returncode == 1 and unmarked.read_text() == "no marks\n")
    with tempfile.TemporaryDirectory() as empty:
        done = call("bench/report", "--results", empty)
        is_so("no results: exit code 1, and what to do", done.returncode == 1 and "make bench" in done.stderr)


def check_command_lines():
    for bench in ("run", "report", "service", "peers", "switched", "growth", "trace", "frames"):
        done = call("bench/" + bench, "--help")
        is_so("bench/%s --help" % bench, done.returncode == 0 and "usage" in done.stdout)
        done = call("bench/" + bench, "--no-such-option")
        is_so("bench/%s --no-such-option: exit code 2" % bench, done.returncode == 2 and "no-such-option" in done.stderr)
    for argv in (("run", "--only", "cost,nothing"), ("service", "--only", "nobody"), ("service", "--loads", "none"), ("peers", "--only", "nobody")):
        done = call("bench/" + argv[0], *argv[1:])
        is_so("bench/%s: exit code 2, and what there is" % " ".join(argv), done.returncode == 2 and ", " in done.stderr)


def check_parts():
    """bench/run knows every bench that is there, and bench/report and bench/README.md each of its parts."""
    there = {p.name for p in (ROOT / "bench").iterdir() if p.is_file() and os.access(p, os.X_OK)} - {"run", "report", "probe.py"}
    there |= set(re.search(r"addprefix \$\(OUT\)/bench/,(.*) generator switch\)", (ROOT / "bench/bench.mk").read_text()).group(1).split())
    parts = set(re.search(r"there are: ([a-z, ]*)", call("bench/run", "--only", "x").stderr).group(1).split(", "))
    is_so("bench/run has the parts that are there: %s" % (parts ^ there), parts == there)
    reported = set(re.findall(r'"(\w+)": (\w+)', re.search(r"PARTS = \{(.*?)\}", (ROOT / "bench/report").read_text(), re.S).group(1)))
    is_so("bench/report has them", {name for name, _ in reported} == parts)
    documented = set(re.findall(r"^\| (\w+) \| `", (ROOT / "bench/README.md").read_text(), re.M))
    is_so("bench/README.md has them: %s" % (documented ^ parts), documented == parts)


if not shutil.which("gnuplot"):
    print("gnuplot is not installed: sh tests/packages.sh install bench")
    sys.exit(77)
check_command_lines()
check_parts()
with tempfile.TemporaryDirectory() as here:
    check_report(here)
    check_faults(here)
sys.exit(1 if FAILED else 0)
