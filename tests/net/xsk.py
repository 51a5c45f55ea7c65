#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Somebody else's AF_XDP socket, where a test needs one.

    xsk.py hold IF QUEUE             has the queue until it is killed
    xsk.py place MAP KEY             puts a socket that is not bound into the XSKMAP of this id, until it is killed
    xsk.py place MAP KEY IF QUEUE    the same with a socket that is bound there
    xsk.py spoil PID COUNT           in the fill ring of a process of one socket, turns the next COUNT frames into none

Says `ready`, or why not.
"""
import ctypes
import mmap
import os
import socket
import struct
import sys
import time

AF_XDP, SOL_XDP = 44, 283
RX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 2, 4, 5, 6
XDP_COPY = 1 << 1
MMAP_OFFSETS, FILL_PGOFF = 1, 0x100000000
FRAMES, FRAME = 64, 4096
SYS_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)
MAP_UPDATE_ELEM, MAP_GET_FD_BY_ID = 2, 14
libc = ctypes.CDLL(None, use_errno=True)


def called(result, what):
    if result < 0:
        sys.exit("%s: %s" % (what, os.strerror(ctypes.get_errno())))
    return result


def bpf(command, attributes, what):
    text = ctypes.create_string_buffer(attributes, 120)
    return called(libc.syscall(SYS_BPF, command, text, ctypes.c_size_t(len(attributes))), what)


def make():
    s = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
    area = mmap.mmap(-1, FRAMES * FRAME)
    at = ctypes.addressof(ctypes.c_char.from_buffer(area))
    s.setsockopt(SOL_XDP, UMEM_REG, struct.pack("QQII", at, FRAMES * FRAME, FRAME, 0))
    for ring in (FILL_RING, COMPLETION_RING, RX_RING):
        s.setsockopt(SOL_XDP, ring, FRAMES)
    return s


def bind(s, ifname, queue):
    address = struct.pack("HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(ifname), int(queue), 0)
    called(libc.bind(s.fileno(), address, len(address)), "bind to %s, queue %s" % (ifname, queue))


def place(s, map_id, key):
    fd = bpf(MAP_GET_FD_BY_ID, struct.pack("III", int(map_id), 0, 0), "open map %s" % map_id)
    number, value = ctypes.c_uint32(int(key)), ctypes.c_uint32(s.fileno())
    attributes = struct.pack("IIQQQ", fd, 0, ctypes.addressof(number), ctypes.addressof(value), 0)
    bpf(MAP_UPDATE_ELEM, attributes, "place the socket in map %s" % map_id)


def ring_of(pid):
    for line in open("/proc/%s/maps" % pid):
        where, _, offset = line.split()[:3]
        if "socket:" in line and int(offset, 16) == FILL_PGOFF:
            return int(where.split("-")[0], 16)
    sys.exit("process %s has no fill ring" % pid)


def spoil(pid, count):
    """The ring as struct xdp_mmap_offsets describes it: rx, tx, fill, completion, each producer, consumer, desc, flags."""
    s = socket.socket(AF_XDP, socket.SOCK_RAW, 0)
    offsets = struct.unpack("16Q", s.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
    at, consumer, desc = ring_of(pid), offsets[9], offsets[10]
    with open("/proc/%s/mem" % pid, "r+b", buffering=0) as memory:
        memory.seek(at + consumer)
        first, = struct.unpack("I", memory.read(4))
        for i in range(int(count)):
            memory.seek(at + desc + (first + i) % (2 * 4096) * 8)
            memory.write(struct.pack("Q", 1 << 40))


def main():
    if sys.argv[1] == "spoil":
        spoil(*sys.argv[2:4])
        print("ready", flush=True)
        return
    s = make()
    where = sys.argv[2:] if sys.argv[1] == "hold" else sys.argv[4:]
    if where:
        bind(s, *where)
    if sys.argv[1] == "place":
        place(s, *sys.argv[2:4])
    print("ready", flush=True)
    time.sleep(1000)


main()
