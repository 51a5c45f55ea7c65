# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""
Leads TCP connections through all eleven states, and says what each socket did, as the kernel shows it (ss) and as the
protocol says (RFC 9293): "PORT SIDE BEFORE AFTER" a line, SIDE server or client. Sockets are made in the namespaces
named on the command line and keep them.

    trace_states.py SERVER_NS CLIENT_NS SERVER_ADDRESS
"""
import ctypes
import os
import re
import socket
import subprocess
import sys
import time

NS = {"server": sys.argv[1], "client": sys.argv[2]}
ADDRESS = sys.argv[3]
FAMILY = socket.AF_INET6 if ":" in ADDRESS else socket.AF_INET
NAMES = {"ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV", "FIN-WAIT-1": "FIN_WAIT1",
         "FIN-WAIT-2": "FIN_WAIT2", "TIME-WAIT": "TIME_WAIT", "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK",
         "LISTEN": "LISTEN", "CLOSING": "CLOSING", "UNCONN": "CLOSE"}
libc = ctypes.CDLL(None, use_errno=True)


def make(side, port=0):
    fd = os.open("/run/netns/" + NS[side], os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)
    s = socket.socket(FAMILY, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port:
        s.bind(("", port))
    return s


def run(side, *command, text=None):
    return subprocess.run(["ip", "netns", "exec", NS[side], *command], input=text, check=True, text=True,
                          capture_output=True).stdout


def drop(side, what):
    """The packets that match do not reach this side's TCP; drop(side, None) ends that."""
    run(side, "nft", "-f", "-", text="table inet t\ndelete table inet t\n" + (
        "table inet t {\nchain c {\ntype filter hook input priority 0\n%s drop\n}\n}\n" % what if what else ""))


def shown(side, port, listening=False):
    """The states that ss shows of the connections (or the listener) of a port."""
    own = "sport" if side == "server" else "dport"
    found = set()
    for line in run(side, "ss", "-6Htan" if FAMILY == socket.AF_INET6 else "-4Htan", f"{own} = :{port}").splitlines():
        state = NAMES[line.split()[0]]
        if listening == (state == "LISTEN"):
            found.add(state)
    return found


def await_state(side, port, state, seconds=8):
    end = time.monotonic() + seconds
    while shown(side, port, state == "LISTEN") != ({state} if state else set()):
        if time.monotonic() > end:
            sys.exit(f"port {port}: the {side} should be in {state}, and is in {shown(side, port)}")
        time.sleep(0.02)


def says(port, side, *states):
    for before, after in zip(states, states[1:]):
        print(port, side, before, after)


def listen(port):
    s = make("server", port)
    s.listen(5)
    await_state("server", port, "LISTEN")
    return s


def connected(port, client_port=0):
    listener = listen(port)
    client = make("client", client_port)
    client.connect((ADDRESS, port))
    server = listener.accept()[0]
    await_state("server", port, "ESTABLISHED")
    await_state("client", port, "ESTABLISHED")
    listener.close()
    says(port, "listener", "CLOSE", "LISTEN", "CLOSE")
    return server, client


OPEN = {"server": ("LISTEN", "SYN_RECV", "ESTABLISHED"), "client": ("CLOSE", "SYN_SENT", "ESTABLISHED")}


def step_by_step(port):
    """One end closes, and a second later the other; the first one's process keeps its descriptor."""
    server, client = connected(port)
    client.shutdown(socket.SHUT_WR)
    await_state("client", port, "FIN_WAIT2")
    await_state("server", port, "CLOSE_WAIT")
    server.close()
    await_state("client", port, "TIME_WAIT")
    await_state("server", port, None)
    client.close()
    says(port, "client", *OPEN["client"], "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT")
    says(port, "server", *OPEN["server"], "CLOSE_WAIT", "LAST_ACK", "CLOSE")


def let_go(port):
    """The first end's process has gone when the peer's FIN comes: a time-wait socket waits for it in FIN_WAIT2."""
    server, client = connected(port)
    client.close()
    await_state("client", port, "FIN_WAIT2")
    time.sleep(0.7)
    await_state("client", port, "FIN_WAIT2")
    server.close()
    await_state("client", port, "TIME_WAIT")
    says(port, "client", *OPEN["client"], "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT")
    says(port, "server", *OPEN["server"], "CLOSE_WAIT", "LAST_ACK", "CLOSE")


def both_close(port):
    """Neither FIN arrives at first, so both ends have sent theirs; the client's arrives, its ACK does not."""
    server, client = connected(port)
    drop("client", f"tcp sport {port}")
    drop("server", f"tcp dport {port}")
    client.close()
    server.close()
    await_state("client", port, "FIN_WAIT1")
    await_state("server", port, "FIN_WAIT1")
    drop("server", None)
    await_state("server", port, "CLOSING")
    drop("client", None)
    await_state("server", port, "TIME_WAIT")
    says(port, "server", *OPEN["server"], "FIN_WAIT1", "CLOSING", "TIME_WAIT")
    says(port, "client", *OPEN["client"], "FIN_WAIT1", "*")


def half_open(port):
    """The answer to the SYN never arrives: a request, and no connection."""
    run("server", "sysctl", "-qw", "net.ipv4.tcp_synack_retries=1")
    listener = listen(port)
    drop("client", f"tcp sport {port}")
    client = make("client")
    client.setblocking(False)
    client.connect_ex((ADDRESS, port))
    await_state("client", port, "SYN_SENT")
    await_state("server", port, "SYN_RECV")
    client.close()
    await_state("server", port, None, 10)
    drop("client", None)
    listener.close()
    says(port, "listener", "CLOSE", "LISTEN", "CLOSE")
    says(port, "client", "CLOSE", "SYN_SENT", "CLOSE")
    says(port, "server", "LISTEN", "SYN_RECV", "CLOSE")


def refused(port):
    client = make("client")
    if client.connect_ex((ADDRESS, port)) == 0:
        sys.exit(f"somebody listens on port {port}")
    client.close()
    says(port, "client", "CLOSE", "SYN_SENT", "CLOSE")


def again(port):
    """A new SYN from the same port ends the server's TIME_WAIT."""
    server, client = connected(port, 40000 + port % 1000)
    server.shutdown(socket.SHUT_WR)
    await_state("client", port, "CLOSE_WAIT")
    client.close()
    await_state("server", port, "TIME_WAIT")
    server.close()
    time.sleep(1.1)
    server, client = connected(port, 40000 + port % 1000)
    client.close()
    await_state("client", port, "FIN_WAIT2")
    server.close()
    await_state("client", port, "TIME_WAIT")
    says(port, "server", *OPEN["server"], "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE")
    says(port, "server", *OPEN["server"], "CLOSE_WAIT", "LAST_ACK", "CLOSE")
    says(port, "client", *OPEN["client"], "CLOSE_WAIT", "LAST_ACK", "CLOSE")
    says(port, "client", *OPEN["client"], "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT")


def fast_listen(port):
    s = make("server", port)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
    s.listen(5)
    await_state("server", port, "LISTEN")
    return s


def fast_open(port):
    """A SYN with a cookie and data makes a full socket in SYN_RECV at once, which is accepted and read before its ACK."""
    for side in NS:
        run(side, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
    with fast_listen(port + 100) as listener, make("client") as client:  # this one gets the cookie
        client.sendto(b"ask", socket.MSG_FASTOPEN, (ADDRESS, port + 100))
        listener.accept()[0].close()
    listener = fast_listen(port)
    drop("client", f"tcp sport {port}")
    client = make("client")
    client.setblocking(False)
    client.sendto(b"data", socket.MSG_FASTOPEN, (ADDRESS, port))
    await_state("server", port, "SYN_RECV")
    server = listener.accept()[0]
    if server.recv(100) != b"data":
        sys.exit("the data has not come with the SYN")
    listener.close()
    drop("client", None)
    await_state("client", port, "ESTABLISHED")
    await_state("server", port, "ESTABLISHED")
    client.shutdown(socket.SHUT_WR)
    await_state("server", port, "CLOSE_WAIT")
    server.close()
    await_state("client", port, "TIME_WAIT")
    client.close()
    says(port, "listener", "CLOSE", "LISTEN", "CLOSE")
    says(port, "client", *OPEN["client"], "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT")
    says(port, "server", *OPEN["server"], "CLOSE_WAIT", "LAST_ACK", "CLOSE")


for number, scene in enumerate((step_by_step, let_go, both_close, half_open, refused, again, fast_open)):
    scene(5001 + number)
