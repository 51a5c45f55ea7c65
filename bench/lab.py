# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the benches in Python share: a sender and a receiver in network namespaces, the host's CPU time, medians."""
import json
import os
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
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C.UTF-8"


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
        sys.exit("%s: exit code %d: %s" % (" ".join(argv), done.returncode, done.stderr.strip()))
    return done.stdout


class Pair:
    """A veth pair between two namespaces of our own: frames leave `tx` and arrive at `rx`."""

    def __init__(self):
        self.tx, self.rx = ("wwbench-%d-%s" % (os.getpid(), end) for end in ("t", "r"))
        self.tx_if, self.rx_if = "wwb-tx", "wwb-rx"

    def __enter__(self):
        for ns in (self.tx, self.rx):
            run("ip", "netns", "add", ns)
        run("ip", "link", "add", self.tx_if, "netns", self.tx, "type", "veth", "peer", "name", self.rx_if,
            "netns", self.rx)
        for ns, link, address in ((self.tx, self.tx_if, "10.78.0.1/24"), (self.rx, self.rx_if, "10.78.0.2/24")):
            run("ip", "-n", ns, "link", "set", "lo", "up")
            run("ip", "-n", ns, "address", "add", address, "dev", link)
            run("ip", "-n", ns, "link", "set", link, "up")
        # Without XDP or GRO a veth takes no frames from another XDP program.
        run("ip", "netns", "exec", self.rx, "ethtool", "-K", self.rx_if, "gro", "on")
        while "LOWER_UP" not in run("ip", "-n", self.rx, "link", "show", self.rx_if):
            settle(0.05)
        return self

    def __exit__(self, *_):
        for ns in (self.tx, self.rx):
            for pid in run("ip", "netns", "pids", ns, check=False).split():
                os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", ns, check=False)

    def receiver(self, *argv):
        """A program at the receiving end, to its end."""
        return run("ip", "netns", "exec", self.rx, *[str(a) for a in argv], check=False)

    def send(self, *options):
        """The generator at the sending end; what it says it sent."""
        out = run("ip", "netns", "exec", self.tx, GENERATOR, "-i", self.tx_if, "--json", "-", "--cpu", "0",
                  *[str(o) for o in options])
        return json.loads(out)


def busy_seconds():
    """CPU time that this host has spent in anything but idling, all CPUs."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq = [int(n) for n in stat.readline().split()[1:8]]
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


class Background:
    """A program in a namespace, started now, ended as a user would end it. Its output goes to files, which never block it."""

    def __init__(self, ns, argv):
        self.out, self.err = (tempfile.TemporaryFile("w+", errors="replace") for _ in range(2))
        self.process = subprocess.Popen(["ip", "netns", "exec", ns] + [str(a) for a in argv], stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=self.err)

    def ended(self):
        return self.process.poll() is not None

    def stop(self, how=signal.SIGINT, patience=20):
        """What it wrote: (stdout, stderr)."""
        if not self.ended():
            self.process.send_signal(how)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return tuple(self.read(f) for f in (self.out, self.err))

    @staticmethod
    def read(file):
        file.seek(0)
        with file:
            return file.read()


def end_on_signals():
    """SIGTERM and SIGHUP unwind, as SIGINT does: nothing stays behind."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def middle(values):
    """Median with spread, as all results have it."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": len(values)}


def in_memory():
    """A directory for files that never touch a disk."""
    return tempfile.mkdtemp(prefix="wwbench-", dir="/dev/shm")


def settle(seconds=0.5):
    """For what has just started or stopped."""
    time.sleep(seconds)
