# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
The monitors that the benches compare: ours, and what Debian has of others. One class each: how it is started, how one sees
that it has begun, and what it says at its end that it saw.

Sums of ours must close: a run whose ledger does not, or whose file holds another number of packets than it says, is Wrong.
"""
import json
import os
import re
import shutil
import signal
import subprocess

import lab

# What a user has of it.
PACKETS, FLOWS, OWNERS = "writes packets", "counts flows", "names processes"


class Monitor:
    """No monitor at all; and what all have in common."""
    name, what, program, began, ready, ours, does = "none", "no monitor", None, None, 0.0, False, ()
    bpf = False  # packets run through programs of its own
    end_by = signal.SIGINT
    patience = 0.3  # from the last packet until it has read it

    def __init__(self, end, selection, port, directory):
        self.end, self.selection, self.port, self.directory = end, selection, port, directory
        self.process = None
        self.cpu = self.resident_mib = None

    def missing(self):
        """Why it cannot run here, or None."""
        return "%s is not installed" % self.program if self.program and not shutil.which(self.program) else None

    def file(self, name):
        return os.path.join(self.directory, name)

    def argv(self):
        return None

    def start(self):
        """Returns when it has begun; or why it does not run."""
        argv = self.argv()
        if not argv:
            return None
        self.process = lab.Background(self.end, argv)
        lab.eventually("the beginning of %s" % self.name, 20, self.has_begun)
        if not self.process.ended():
            lab.settle(self.ready)
        if not self.process.ended():
            return None
        out, err = self.process.stop()
        self.process = None
        return "ended at once: " + lab.last_line(out + err)

    def has_begun(self):
        return self.process.ended() or not self.began or re.search(self.began, self.process.said(), re.M)

    def stop(self):
        """What it saw: a dict of packets, flows, named, wrong, lost, each only if it says so (see found_in)."""
        if not self.process:
            return {}
        self.resident_mib = self.process.resident_mib()
        out, err = self.process.stop(self.end_by)
        self.cpu, code = self.process.usage, self.process.code
        self.process = None
        if self.ours and code:
            raise lab.Wrong("%s: exit code %d: %s" % (self.name, code, err))
        return self.seen(out, err)

    def seen(self, out, err):
        return {}

    def abandon(self):
        """After something went wrong."""
        if self.process:
            self.process.stop(signal.SIGKILL)
            self.process = None


def found_in(lines, port, owner=None):
    """Packets and flows of that port in flow records, and how many of the packets have that owner's name, or another's."""
    found = {"packets": 0, "flows": set(), "named": 0, "misnamed": 0}
    for record in map(json.loads, lines):
        if "source" not in record or port not in (record["source"].get("port"), record["destination"].get("port")):
            continue
        packets = sum(record[end]["packets"] for end in ("source", "destination"))
        found["packets"] += packets
        found["flows"].add((record["source"]["ip"], record["source"].get("port")))
        if "process" in record and owner:
            found["named" if record["process"]["name"] == owner else "misnamed"] += packets
    found["flows"] = len(found["flows"])
    return found


class Owner:
    """Whose traffic it is, for those that name owners. Set by the bench; with frames that nobody owns: None."""
    name = None


# ---- no monitor, but what comes with one

class Again(Monitor):
    name, what = "again", "no monitor, once more"


class Segmentation(Monitor):
    """What a native XDP program takes from a veth's other end."""
    name, what = "segmentation", "no monitor, no segmentation offload"

    def switch(self, to):
        return subprocess.run(self.end.peer.words("ethtool", "-K", self.end.peer.link, "tso", to), capture_output=True, text=True)

    def start(self):
        done = self.switch("off")
        return "ethtool: " + lab.last_line(done.stderr) if done.returncode else None

    def stop(self):
        self.switch("on")
        return {}

    abandon = stop


class Pass(Monitor):
    name, what, bpf = "pass", "an XDP program that only passes", True
    OBJECT = os.path.join(lab.BUILT, "pass.bpf.o")

    def start(self):
        self.end.ip("link", "set", "dev", self.end.link, "xdpdrv", "object", self.OBJECT, "section", "xdp.frags")

    def stop(self):
        self.end.ip("link", "set", "dev", self.end.link, "xdpdrv", "off")
        return {}

    abandon = stop


# ---- ours

class Ours(Monitor):
    ours, bpf, end_by, options = True, True, signal.SIGTERM, ()


class Run(Ours):
    name, what, began, does = "owners", "wirewho run", "^wirewho: watching", (FLOWS, OWNERS)

    def argv(self):
        return [lab.WIREWHO, "run", "-i", self.end.link, "--jsonl", self.file("flows"), *self.options]

    def seen(self, out, err):
        with open(self.file("flows"), encoding="utf-8") as lines:
            text = lines.read().splitlines()
        os.unlink(self.file("flows"))
        return dict(found_in(text, self.port, Owner.name), lost=check_ledger(text))


def check_ledger(lines):
    """Packets that were lost by name, which is allowed; a sum that does not close is not."""
    records = [json.loads(line) for line in lines]
    ledger = records[-1]["wirewho"]["ledger"]
    for line in ledger["lines"]:
        if line["difference"] or line["difference_bytes"]:
            raise lab.Wrong("the ledger does not close: %s" % line)
    flows = sum(r[end]["packets"] for r in records[:-1] for end in ("source", "destination") if end in r)
    counted = sum(line["flow"]["packets"] + line["overflowed"]["packets"] for line in ledger["lines"])
    if flows != counted:
        raise lab.Wrong("%d packets in the records, %d in the ledger" % (flows, counted))
    return sum(line["lost"]["packets"] for line in ledger["lines"])


class Count(Run):
    name, what, options, does = "count", "wirewho run --no-owners", ("--no-owners",), (FLOWS,)


class RunTc(Run):
    """For a veth, where native XDP costs the service its segmentation offload."""
    name, what, options = "owners-tc", "wirewho run --mode tc", ("--mode", "tc")


class Capture(Ours):
    name, what, began, does = "copy", "wirewho capture --sample copy", "^wirewho: capturing", (PACKETS, OWNERS)
    options = ("--sample", "copy")

    def argv(self):
        return [lab.WIREWHO, "capture", "-i", self.end.link, "-s", "128", "-w", self.file("ours"), "--stats",
                self.file("stats"), *self.options, self.selection]

    def seen(self, out, err):
        with open(self.file("stats"), encoding="utf-8") as text:
            stats = json.load(text)
        check_capture(stats, packets_in(self.file("ours")))
        found = found_in(read_capture(self.file("ours")), self.port, Owner.name)
        os.unlink(self.file("ours"))
        took = stats["interfaces"][0]["matched_as"]
        link = stats["interfaces"][0]
        found["matched"] = link["matched"] - took["skipped"]
        found["passed_by"] = took["no_credit"] + took["too_long"]
        found["lost"] = stats["output_dropped"] + took["copy_lost"] + link["rx_dropped"] + link["rx_ring_full"]
        return found


def check_capture(stats, packets):
    link = stats["interfaces"][0]
    took = link["matched_as"]
    sums = [("matched", link["matched"], sum(took.values())),
            ("taken", took["redirected"] + took["copied"],
             link["delivered"] + link["rx_dropped"] + link["rx_ring_full"]),
            ("delivered", stats["delivered"], sum(stats[k] for k in (
                "written", "filtered", "past_count", "output_dropped", "output_failed"))),
            ("packets in the file", packets, stats["written"])]
    if stats["sample"] == "inline":
        sums.append(("put back", link["delivered"], link["put_back"] + link["put_back_failed"]))
    for what, left, right in sums:
        if left != right:
            raise lab.Wrong("%s: %d is not %d: %s" % (what, left, right, json.dumps(stats)))
    if link.get("put_back_failed"):
        raise lab.Wrong("frames were not put back: %s" % json.dumps(stats))


class CopyOnly(Capture):
    name, what, does = "copyonly", "wirewho capture --sample copy --no-owners", (PACKETS,)
    options = ("--sample", "copy", "--no-owners")


class Inline(Capture):
    name, what, options = "inline", "wirewho capture --sample inline", ("--sample", "inline")


class Inline10(Capture):
    name, what = "inline10", "wirewho capture --sample inline --rate 10"
    options = ("--sample", "inline", "--rate", "10")


class Inline10Only(Capture):
    """Without the owner programs: what the sampling itself costs."""
    name, what, does = "inline10only", "wirewho capture --sample inline --rate 10 --no-owners", (PACKETS,)
    options = ("--sample", "inline", "--rate", "10", "--no-owners")


class InlineIdle(Capture):
    """The program alone: it parses and selects, and hands over next to nothing."""
    name, what, does = "inlineidle", "wirewho capture --sample inline --rate 1G --no-owners", (PACKETS,)
    options = ("--sample", "inline", "--rate", "1000000000", "--no-owners")


class Inline100(Capture):
    name, what = "inline100", "wirewho capture --sample inline --rate 100"
    options = ("--sample", "inline", "--rate", "100")


class Tap(Capture):
    name, what, options = "tap", "wirewho capture --sample tap", ("--sample", "tap", "--force")


class TapToDisk(Tap):
    """The others' files are in memory, so that they are not a bench of the disk."""
    name, what = "tap to disk", "wirewho capture --sample tap, to a disk"

    def file(self, name):
        return os.path.join(lab.BUILT, "disk-" + name)


# ---- others

def packets_in(path):
    found = re.search(r"(\d+)\s*$", lab.run("capinfos", "-Mcr", path, check=False).strip())
    return int(found.group(1)) if found else None


def read_capture(path):
    """Flow records of a capture file, by our own reader: one way to count them for all."""
    return lab.run(lab.WIREWHO, "read", path, "--jsonl", "-", check=False).splitlines()


LIBPCAP = 1.2  # what came last waits in a half-full block for up to a second


class Writer(Monitor):
    """Writes a capture file, which tells what it saw."""
    does, drops, patience = (PACKETS,), None, LIBPCAP

    def seen(self, out, err):
        found = found_in(read_capture(self.file("packets")), self.port)
        with_drops = re.search(self.drops, out + err) if self.drops else None
        if with_drops:
            found["lost"] = int(with_drops.group(1))
        os.unlink(self.file("packets"))
        return found


class Tcpdump(Writer):
    name, what, program, began = "tcpdump", "tcpdump -s 128 -w FILE", "tcpdump", "listening on"
    drops = r"(\d+) packets? dropped by kernel"

    def argv(self):
        return ["tcpdump", "-Z", "root", "-ni", self.end.link, "-s", "128", "-w", self.file("packets"), self.selection]


class Dumpcap(Writer):
    name, what, program, began = "dumpcap", "dumpcap -s 128 -w FILE", "dumpcap", "File: "
    drops = r"packets dropped from interface[^\n]*: \d+/(\d+)"

    def argv(self):
        return ["dumpcap", "-q", "-i", self.end.link, "-s", "128", "-f", self.selection, "-w", self.file("packets")]


class Xdpdump(Writer):
    """It has no filter."""
    name, what, program, began, patience = "xdpdump", "xdpdump -s 128 -w FILE", "xdpdump", "listening on", 0.3
    bpf = True

    def argv(self):
        return ["xdpdump", "-i", self.end.link, "--load-xdp-program", "-s", "128", "-w", self.file("packets")]


class Nftables(Monitor):
    """A set of flows with counters, as its documentation shows for accounting."""
    name, what, program, does = "nftables", "nftables: a set of flows with counters", "nft", (FLOWS,)
    RULES = """table netdev bench {
  set flows { type ipv4_addr . inet_service; flags dynamic; counter; size 65536; timeout 1h; }
  chain in { type filter hook ingress device "%s" priority 0; %s dport %d update @flows { ip saddr . %s sport } counter; }
}"""

    def start(self):
        protocol = self.selection.split()[0]
        done = subprocess.run(self.end.words("nft", "-f", "-"), text=True, capture_output=True,
                              input=self.RULES % (self.end.link, protocol, self.port, protocol))
        return "nft: " + lab.last_line(done.stderr) if done.returncode else None

    def stop(self):
        try:
            listed = json.loads(self.end.run("nft", "-j", "list", "table", "netdev", "bench"))["nftables"]
        except (ValueError, KeyError):
            return {}
        self.abandon()
        sets = [item["set"] for item in listed if "set" in item]
        elements = [e["elem"] for e in sets[0].get("elem", [])] if sets else []
        return {"packets": sum(e["counter"]["packets"] for e in elements), "flows": len(elements)}

    def abandon(self):
        self.end.run("nft", "delete", "table", "netdev", "bench")


class XdpFilter(Monitor):
    """Counts what it passes; it knows no flows. What it pins must outlive a call: it gets a bpffs of its own for that."""
    name, what, program = "xdp-filter", "xdp-filter: counts all, knows no flows", "xdp-filter"
    began, bpf = "mounted", True

    def argv(self):
        return ["unshare", "--mount", "sh", "-c", "mount -t bpf bpf /sys/fs/bpf && echo mounted && exec sleep 3600"]

    def call(self, *argv):
        return subprocess.run(["nsenter", "--mount", "--net", "--target", str(self.process.process.pid), "xdp-filter"] +
                              list(argv), capture_output=True, text=True)

    def start(self):
        why = super().start()
        done = None if why else self.call("load", "-f", self.selection.split()[0], self.end.link)
        if done and done.returncode:
            why = lab.last_line(done.stderr)
            self.abandon()
        return why

    def stop(self):
        found = re.search(r"XDP_PASS\s+(\d+) pkts", self.call("status").stdout)
        self.abandon()
        return {"packets": int(found.group(1))} if found else {}

    def abandon(self):
        if self.process:
            self.call("unload", self.end.link)
        super().abandon()


class Softflowd(Monitor):
    name, what, program, ready, does = "softflowd", "softflowd", "softflowd", 0.3, (FLOWS,)
    end_by, patience = signal.SIGTERM, LIBPCAP

    def argv(self):
        return ["softflowd", "-d", "-i", self.end.link, "-p", self.file("pid"), "-c", self.file("ctl"), "-m", "65536",
                "-n", "127.0.0.1:9"]

    def stop(self):
        said = self.end.run("softflowctl", "-c", self.file("ctl"), "statistics")
        super().stop()
        found = {"packets": r"Packets processed: (\d+)", "flows": r"active flows: (\d+)"}
        matches = {key: re.search(pattern, said) for key, pattern in found.items()}
        return {key: int(match.group(1)) for key, match in matches.items() if match}


class Iftop(Monitor):
    """Shows bytes of its largest flows; does not say how many packets it saw."""
    name, what, program, ready, does = "iftop", "iftop -t", "iftop", 0.5, (FLOWS,)

    def argv(self):
        return ["iftop", "-t", "-n", "-N", "-P", "-i", self.end.link]


class Nethogs(Monitor):
    """
    Shows bytes a second of each process; does not say how many packets it saw. It looks for a connection's process when it sees
    its first packet. A server's socket is nobody's then, and stays so; what is older than itself, and a client's, it names.
    """
    name, what, program, ready, does = "nethogs", "nethogs -t", "nethogs", 0.5, (OWNERS,)
    end_by = signal.SIGTERM
    LINE = re.compile(r"^(.*)/(\d+)/\d+\t([\d.]+)\t([\d.]+)$", re.M)

    def argv(self):
        return ["nethogs", "-t", "-d", "1", self.end.link]

    def seen(self, out, err):
        share = {"named": 0.0, "misnamed": 0.0, "traffic": 0.0}
        for name, pid, sent, received in self.LINE.findall(out):
            rate = float(sent) + float(received)
            share["traffic"] += rate
            if Owner.name and pid != "0":
                share["named" if Owner.name in name else "misnamed"] += rate
        return share if share["traffic"] else {}


class BccTool(Monitor):
    """libbpf-tools: they need kprobes or fentry, and watch the whole host."""
    ready, does = 1.0, (OWNERS,)

    def argv(self):
        return [self.program] + self.options


class Tcptop(BccTool):
    name, what, program, options = "tcptop", "tcptop (libbpf-tools)", "tcptop", ["-C", "1"]


class Tcplife(BccTool):
    name, what, program, options = "tcplife", "tcplife (libbpf-tools)", "tcplife", []


PEERS = [Tcpdump, Dumpcap, Xdpdump, Nethogs, Iftop, Softflowd, Nftables, XdpFilter, Tcptop, Tcplife]
