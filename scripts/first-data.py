#!/usr/bin/env python3
"""How long after its start railtop has devices on the screen: first-data.py RAILTOP [RUNS]

On a tree of 32 EFA NICs that it makes, on a terminal of 160x48; prints each run and the median, in milliseconds. The
time is from before the fork to when the terminal has got the name of the last NIC.
"""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

NICS = 32
COUNTERS = """tx_bytes tx_pkts rx_bytes rx_pkts rx_drops send_bytes send_wrs recv_bytes recv_wrs rdma_read_wrs rdma_read_bytes
    rdma_read_wr_err rdma_read_resp_bytes rdma_write_wrs rdma_write_bytes rdma_write_wr_err rdma_write_recv_bytes
    retrans_bytes retrans_pkts retrans_timeout_events unresponsive_remote_events impaired_remote_conn_events""".split()


def make_tree(root):
    """What the kernel shows of so many NICs."""
    for nic in range(NICS):
        device = root / f"class/infiniband/rdmap{nic}s0"
        port = device / "ports/1"
        (port / "hw_counters").mkdir(parents=True)
        (device / "device").mkdir()
        (device / "device/uevent").write_text("DRIVER=efa\n")
        for name, text in ("state", "4: ACTIVE"), ("phys_state", "5: LinkUp"), ("rate", "100 Gb/sec (4X EDR)"):
            (port / name).write_text(text + "\n")
        for name in COUNTERS:
            (port / "hw_counters" / name).write_text("12\n")


def first_data(railtop, root):
    """Seconds of one run."""
    begun = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 48, 160, 0, 0))
        os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8", RAILTOP_CONFIG="")
        os.execv(railtop, [railtop, "--sysfs-root", str(root)])
    written = b""
    while f"rdmap{NICS - 1}s0".encode() not in written:
        if time.monotonic() - begun > 20:
            sys.exit("no devices on the screen")
        if select.select([terminal], [], [], 1)[0]:
            written += os.read(terminal, 65536)
    took = time.monotonic() - begun
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os.close(terminal)
    return took


def main():
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as directory:
        make_tree(Path(directory))
        times = [first_data(sys.argv[1], directory) * 1000 for _ in range(runs)]
    print(*(f"{ms:.0f}" for ms in times))
    print(f"median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms, {runs} runs")


main()
