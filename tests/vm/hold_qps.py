#!/usr/bin/env python3
"""Holds queue pairs in the test VM: hold_qps.py PROCESSES QPS DEVICE...

Each of so many processes holds so many queue pairs on every device, through the kernel's uverbs files
(<rdma/ib_user_verbs.h>, the commands that are written). Prints `ready` and their process ids, and ends with its parent's
SIGTERM.
"""

import os
import signal
import struct
import sys
from pathlib import Path
from ctypes import addressof, create_string_buffer

GET_CONTEXT, ALLOC_PD, CREATE_CQ, CREATE_QP = 0, 3, 18, 24
RELIABLE_CONNECTION = 2  # IB_UVERBS_QPT_RC


def command(file, number, body, answer_bytes):
    """Writes one command, whose body begins with where its answer goes, and returns the first word of the answer."""
    answer = create_string_buffer(answer_bytes)
    message = struct.pack("=Q", addressof(answer)) + body
    header = struct.pack("=IHH", number, (8 + len(message)) // 4, answer_bytes // 4)
    os.write(file, header + message)
    return struct.unpack_from("=I", answer)[0]


def hold(path, qps):
    """Holds so many on one device; they are this process's until it ends."""
    file = os.open(path, os.O_RDWR)
    command(file, GET_CONTEXT, b"", 8)
    domain = command(file, ALLOC_PD, b"", 4)
    completions = command(file, CREATE_CQ, struct.pack("=QIIiI", 0, 16, 0, -1, 0), 8)
    for _ in range(qps):
        body = struct.pack(
            "=Q4I5I4B", 0, domain, completions, completions, 0, 1, 1, 1, 1, 0, 0, RELIABLE_CONNECTION, 0, 0
        )
        command(file, CREATE_QP, body, 32)


def main():
    processes, qps, devices = int(sys.argv[1]), int(sys.argv[2]), set(sys.argv[3:])
    files = Path("/sys/class/infiniband_verbs")
    named = [d for d in files.iterdir() if d.name != "abi_version" and (d / "ibdev").read_text().strip() in devices]
    paths = [f"/dev/infiniband/{d.name}" for d in named]
    if len(paths) != len(devices):
        sys.exit(f"{len(paths)} of {len(devices)} devices are there")
    children = []
    read, write = os.pipe()
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            for path in paths:
                hold(path, qps)
            os.write(write, b".")
            signal.pause()
        children.append(child)
    for _ in children:
        if os.read(read, 1) != b".":
            sys.exit("a process ended")

    def end(*_):
        for child in children:
            os.kill(child, signal.SIGTERM)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    print("ready", *children, flush=True)
    signal.pause()


main()
