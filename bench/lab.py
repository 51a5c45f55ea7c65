# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
What the benches in Python share: two hosts on one cable (network namespaces), programs that run beside a load, what the host
and its BPF programs spent, and medians.
"""
import contextlib
import ctypes
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WIREWHO = os.environ.get("WIREWHO", os.path.join(ROOT, "wirewho"))
BUILT = os.path.join(ROOT, os.environ.get("OUT", ".build"), "bench")
GENERATOR = os.path.join(BUILT, "generator")
TICKS = os.sysconf("SC_CLK_TCK")
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C.UTF-8"


class Wrong(Exception):
    """A result that must not be used."""


def results(quick):
    """Where result files go: those of a full run are kept in the repository, a quick run's are not."""
    return os.path.join(BUILT if quick else os.path.join(ROOT, "bench"), "results")


def say(text):
    """Progress, where nobody parses it."""
    print(text, file=sys.stderr, flush=True)


def run(*argv, check=True, **more):
    """Runs a program to its end; its output as text."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **more)
    if check and done.returncode:
        raise Wrong("%s: exit code %d: %s" % (" ".join(argv), done.returncode, done.stderr.strip()))
    return done.stdout


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "without a word"


def settle(seconds=0.5):
    """For what has just started or stopped."""
    time.sleep(seconds)


def eventually(what, seconds, true):
    seconds *= int(os.environ.get("WW_SLOW", 1))
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Wrong("%s: not within %d s" % (what, seconds))
        settle(0.02)


# ---- two hosts on a cable

class End:
    """One of them: its namespace, its interface, its addresses."""

    def __init__(self, name, number):
        self.ns = "wwbench-%d-%s" % (os.getpid(), name)
        self.link = "wwb-" + name
        self.ip4, self.ip6 = "10.78.0.%d" % number, "fd78::%d" % number

    def words(self, *argv):
        return ["ip", "netns", "exec", self.ns] + [str(a) for a in argv]

    def run(self, *argv, check=False):
        """A program there, to its end; its output."""
        return run(*self.words(*argv), check=check)

    def ip(self, *argv):
        return run("ip", "-n", self.ns, *argv)

    def up(self):
        self.ip("link", "set", "lo", "up")
        self.ip("address", "add", self.ip4 + "/24", "dev", self.link)
        self.ip("address", "add", self.ip6 + "/64", "dev", self.link, "nodad")
        self.ip("link", "set", self.link, "up")

    def counter(self, protocol, name):
        """One of /proc/net/snmp or netstat; 0 where the kernel has none of that name."""
        text = self.run("cat", "/proc/net/snmp", "/proc/net/netstat")
        names, values = re.findall("^%s: (.*)$" % protocol, text, re.M)
        return int(dict(zip(names.split(), values.split())).get(name, 0))


class Pair:
    """A veth pair between two namespaces of our own: frames leave `tx` and arrive at `rx`, which is the one that is watched."""

    def __init__(self):
        self.tx, self.rx = End("tx", 1), End("rx", 2)
        self.tx.peer, self.rx.peer = self.rx, self.tx

    def __enter__(self):
        for end in (self.tx, self.rx):
            run("ip", "netns", "add", end.ns)
        run("ip", "link", "add", self.tx.link, "netns", self.tx.ns, "type", "veth", "peer", "name", self.rx.link,
            "netns", self.rx.ns)
        for end in (self.tx, self.rx):
            end.up()
        eventually("the cable", 10, lambda: "LOWER_UP" in self.rx.ip("link", "show", self.rx.link))
        return self

    def __exit__(self, *_):
        for end in (self.tx, self.rx):
            for pid in run("ip", "netns", "pids", end.ns, check=False).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", end.ns, check=False)

    def take_frames(self, size=0):
        """Without XDP or GRO a veth takes no frames from another XDP program; nor longer ones than its MTU."""
        if size > 1514:
            for end in (self.tx, self.rx):
                end.ip("link", "set", end.link, "mtu", str(size - 14))
        self.rx.run("ethtool", "-K", self.rx.link, "gro", "on", check=True)

    def send(self, *options):
        """The generator at the sending end; what it says it sent."""
        return json.loads(self.tx.run(GENERATOR, "-i", self.tx.link, "--json", "-", "--cpu", "0", *options, check=True))


# ---- programs that run beside a load

class Background:
    """A program at an end, started now, ended as a user would end it. Its output goes to files, which never block it."""

    def __init__(self, end, argv):
        self.out, self.err = (tempfile.TemporaryFile("w+", errors="replace") for _ in range(2))
        self.process = subprocess.Popen(end.words(*argv), stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)
        self.usage = self.code = None

    def ended(self):
        return self.process.poll() is not None

    def said(self):
        """What it wrote so far, to both."""
        return self.read(self.out) + self.read(self.err)

    def resident_mib(self):
        """The most that it ever held at once."""
        try:
            with open("/proc/%d/status" % self.process.pid, encoding="ascii", errors="replace") as status:
                return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024
        except (OSError, AttributeError):
            return None

    def stop(self, how=signal.SIGINT, patience=20):
        """What it wrote: (stdout, stderr)."""
        before = os.times()
        if not self.ended():
            self.process.send_signal(how)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        after = os.times()
        self.code = self.process.returncode
        self.usage = after.children_user - before.children_user + after.children_system - before.children_system
        return self.close()

    def close(self):
        wrote = tuple(self.read(f) for f in (self.out, self.err))
        self.out.close()
        self.err.close()
        return wrote

    @staticmethod
    def read(file):
        file.seek(0)
        return file.read()


def end_on_signals():
    """SIGTERM and SIGHUP unwind, as SIGINT does: nothing stays behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def in_memory():
    """A directory for files that never touch a disk."""
    return tempfile.mkdtemp(prefix="wwbench-", dir="/dev/shm")


# ---- what the host spent

def cpu_seconds():
    """
    CPU time that all CPUs have spent so far: user, system (hard interrupts too), softirq, which the kernel samples with its
    ticks; and busy, in anything but idling (or another machine's turn), which it knows exactly.
    """
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, idle, iowait, irq, softirq, steal = [int(n) / TICKS for n in stat.readline().split()[1:9]]
    return {"user": user + nice, "system": system + irq, "softirq": softirq,
            "busy": time.monotonic() * os.cpu_count() - idle - iowait - steal}


def cpu_of(pid):
    """CPU seconds of one process, its threads together: exactly, where the kernel tells, else as sampled."""
    seconds = 0.0
    try:
        for thread in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, thread), encoding="ascii") as stat:
                seconds += int(stat.read().split()[0]) / 1e9
        return seconds
    except (OSError, ValueError, IndexError):
        return processes().get(pid, (0, 0.0))[1]


def processes():
    """{pid: (parent's pid, CPU seconds)} of all that are."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/stat" % pid, encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
            found[int(pid)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS
    return found


def is_ours(pid, found):
    """This process, what it started, and the kernel's own threads."""
    while pid not in (os.getpid(), 2) and pid in found:
        pid = found[pid][0]
    return pid in (os.getpid(), 2)


class Spent:
    """
    What the host spent while it was open: CPU seconds of all (`busy`) and of one process (`own`); parts of all CPUs' time that
    another machine had (`stolen`), and other programs (`others`).
    """

    def __init__(self, background=None):
        self.pid = background.process.pid if background else None

    def __enter__(self):
        self.started, self.before, self.free = time.monotonic(), processes(), cpu_seconds()
        self.was_stolen, self.own = stolen_seconds(), -cpu_of(self.pid) if self.pid else 0.0
        return self

    def __exit__(self, *_):
        whole = (time.monotonic() - self.started) * os.cpu_count()
        self.own += cpu_of(self.pid) if self.pid else 0.0
        self.busy = cpu_seconds()["busy"] - self.free["busy"]
        self.stolen = (stolen_seconds() - self.was_stolen) / whole
        after = processes()
        self.others = sum(seconds - self.before.get(pid, (0, 0.0))[1] for pid, (_, seconds) in after.items()
                          if not is_ours(pid, after)) / whole


def stolen_seconds():
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / TICKS


def bpftool(kind):
    try:
        return json.loads(run("bpftool", "-j", kind, "show", check=False))
    except ValueError:
        return []


def bpf_map_bytes():
    return {m["id"]: m.get("bytes_memlock", 0) for m in bpftool("map") if isinstance(m, dict) and "id" in m}


def bpf_run_ns():
    """{program: ns that it ran} since statistics are on."""
    return {p["id"]: p.get("run_time_ns", 0) for p in bpftool("prog") if isinstance(p, dict) and "id" in p}


class BpfStatistics:
    """While it is open the kernel adds up how long each BPF program runs (BPF_ENABLE_STATS), which costs time itself."""

    def __enter__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        number = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(os.uname().machine)
        union_bpf_attr = ctypes.create_string_buffer(128)  # all zero: BPF_STATS_RUN_TIME
        self.fd = libc.syscall(number, 32, union_bpf_attr, 128) if number else -1
        self.older = set(bpf_run_ns())
        return self

    def ns(self):
        """What the programs that are new since then took together; None where the kernel does not tell."""
        new = {number: ns for number, ns in bpf_run_ns().items() if number not in self.older}
        return sum(new.values()) if self.fd >= 0 and new else None

    def __exit__(self, *_):
        if self.fd >= 0:
            os.close(self.fd)


# ---- figures

def middle(values):
    """Median with spread, as all results have it."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": len(values)}


def beyond(values, free):
    """A middle of how much more values are than those of nothing at all, with its error: what is less is not told apart."""
    values, free = ([v for v in some if v is not None] for some in (values, free))
    more = middle([v - statistics.median(free) for v in values]) if free else None
    spreads = [statistics.stdev(some) for some in (values, free) if len(some) > 2]
    return more and dict(more, error=2 * max(spreads) * (1 / len(values) + 1 / len(free)) ** 0.5 if spreads else None)


def percentile(ordered, part):
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def write_json(path, figures):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(figures, out, indent=1)
        out.write("\n")


# ---- how a bench in Python begins and ends

def load_pktgen():
    """Where the kernel has one, it is there from now on."""
    with contextlib.suppress(OSError):
        subprocess.run(["modprobe", "-q", "pktgen"], stderr=subprocess.DEVNULL)


def load_bench(name):
    """Another bench, as a module."""
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(ROOT, "bench", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = kept
    return module


def main(bench, work, options):
    """Runs work(options), which returns figures; writes them where --json says. A result that must not be used: exit code 1."""
    if os.geteuid():
        sys.exit("%s: run as root: it makes network namespaces" % bench)
    for path in (WIREWHO, GENERATOR):
        if not os.path.exists(path):
            sys.exit("%s: %s is missing: run `make all benches` first" % (bench, path))
    end_on_signals()
    load_pktgen()
    try:
        figures = work(options)
    except Wrong as wrong:
        sys.exit("%s: FAILED: %s" % (bench, wrong))
    if options.json:
        write_json(options.json, figures)
    failed = ["%s: %s" % (row.get("name"), row["wrong"]) for row in figures["rows"] if row.get("wrong")]
    if failed:
        sys.exit("%s: FAILED: %s" % (bench, "; ".join(failed)))
    return 0
