#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""stuck.py serve FOLDER | send SOCKET FILE: for filemap.sh.

serve: a file system (FUSE) with one file, "file", on FOLDER; it never answers what it is told when a descriptor is closed.  Prints
"ready", and "flush THREAD" whenever it was told so by that thread.  Its end ends all that wait for it; run it in a mount namespace
of its own, which goes with it.
send: sends FILE's descriptor with a call of procedure 0, and waits for the answer.
"""
import ctypes
import os
import socket
import struct
import sys

LOOKUP, GETATTR, OPEN, STATFS, RELEASE, FLUSH, INIT, OPENDIR = 1, 3, 14, 17, 18, 25, 26, 27
FORGET, BATCH_FORGET, INTERRUPT, DESTROY, ACCESS = 2, 42, 36, 38, 34
SIZE = 4096
libc = ctypes.CDLL(None, use_errno=True)


def attributes(node):
    mode = 0o40755 if node == 1 else 0o100666
    return struct.pack("<6Q3I7I", node, 0 if node == 1 else SIZE, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(op, node, body):
    if op == INIT:
        return struct.pack("<4I2H2I2H8I", 7, 19, 0, 0, 0, 0, 65536, 1, 0, 0, *[0] * 8)[:24]
    if op == LOOKUP and body.rstrip(b"\0") == b"file":
        return struct.pack("<4Q2I", 2, 0, 3600, 3600, 0, 0) + attributes(2)
    if op == GETATTR:
        return struct.pack("<Q2I", 3600, 0, 0) + attributes(node)
    if op in (OPEN, OPENDIR):
        return struct.pack("<Q2I", 1, 0, 0)
    if op in (RELEASE, ACCESS):
        return b""
    return -2 if op == LOOKUP else -38


def serve(folder):
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"stuck", folder.encode(), b"fuse.stuck", 6, options):
        sys.exit(os.strerror(ctypes.get_errno()))
    print("ready", flush=True)
    while True:
        request = os.read(fd, 1 << 17)
        _, op, unique, node, _, _, thread, _ = struct.unpack("<IIQQIIII", request[:40])
        if op == FLUSH:
            print("flush", thread, flush=True)
        elif op not in (FORGET, BATCH_FORGET, INTERRUPT):
            a = answer(op, node, request[40:])
            error, a = (a, b"") if isinstance(a, int) else (0, a)
            os.write(fd, struct.pack("<IiQ", 16 + len(a), error, unique) + a)


def send(path, name):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    call = struct.pack(">10I", 1, 0, 2, 0x2049000A, 1, 0, 0, 0, 0, 0)
    socket.send_fds(s, [struct.pack(">I", 0x80000000 | len(call)) + call], [os.open(name, os.O_RDONLY)])
    print("answered", len(s.recv(100)), flush=True)


if __name__ == "__main__":
    {"serve": serve, "send": send}[sys.argv[1]](*sys.argv[2:])
