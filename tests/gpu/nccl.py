"""One of two ranks that share a GPU and talk over NCCL: known traffic, its speed, and what the counter pages have of it.

    RANK=0 WORLD_SIZE=2 nccl.py STORE [--pages RAILTOP] [--trace FILE]

STORE is a file that is not there yet, the same for both ranks. Rank 0 writes a line to stdout for each row of work:

    speed WHAT BYTES US GB/S                          of an iteration; GB/s are what each rank sends, nccl-tests' "busbw"
    count WHAT BYTES RANK SENT TX RX TX_OPS RX_OPS    with --pages: what NCCL has to send, and by how much a rank's page has grown
    traced BYTES SENT TX BEGIN END                    with --trace: the same, and by how many ms Tx began to move after the first kernel
                                                      of NCCL's began, and ended after the last one's end; less than 0: before

nccl.sh starts it, and says which NCCL and which network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any, Callable, NamedTuple

import torch
import torch.distributed as dist

RANK = int(os.environ["RANK"])
#: How long a page may be behind when its process is idle: it is published four times a second then.
SETTLED = 0.6
WARM_UP = 3
MIB = 1 << 20


class Work(NamedTuple):
    """Collectives of one kind and size."""

    what: str
    size: int
    iterations: int

    def sent(self) -> int:
        """Bytes that each of the two ranks has to send in an iteration.

        A ring of n all-reduces by sending 2 (n - 1) / n of the data; an all-to-all sends all but the rank's own part.
        """
        return self.size if self.what == "all-reduce" else self.size // 2


ROWS = (
    Work("all-reduce", 8, 200),
    Work("all-reduce", MIB, 100),
    Work("all-reduce", 64 * MIB, 10),
    Work("all-to-all", MIB, 100),
    Work("all-to-all", 64 * MIB, 10),
)
TRACED = Work("all-reduce", 64 * MIB, 10)


class Ranks:
    """The two of them, who wait for each other without NCCL."""

    def __init__(self, path: str) -> None:
        self.store = dist.FileStore(path, 2)
        self.meetings = 0
        torch.cuda.set_device(0)
        dist.init_process_group("nccl", store=self.store, rank=RANK, world_size=2, timeout=timedelta(seconds=60))

    def meet(self) -> None:
        """Returns once both are here and have nothing under way on the GPU."""
        torch.cuda.synchronize()
        self.meetings += 1
        self.store.set(f"meeting {self.meetings} rank {RANK}", "here")
        self.store.get(f"meeting {self.meetings} rank {1 - RANK}")


def prepare(work: Work) -> Callable[[], None]:
    """The collective, once it has been seen to do what it should."""
    words = work.size // 4
    if work.what == "all-reduce":
        data = torch.full((words,), RANK + 1.0, device="cuda")
        dist.all_reduce(data)
        expect(bool((data == 3).all()), "an all-reduce has a wrong sum")
        # Zeros, so that the sum is one after many as well.
        data.zero_()
        return lambda: dist.all_reduce(data)
    source = torch.arange(words, device="cuda", dtype=torch.float32) + RANK * words
    target = torch.empty_like(source)
    dist.all_to_all_single(target, source)
    half = words // 2
    mine = source[RANK * half :][:half]
    theirs = torch.arange(half, device="cuda", dtype=torch.float32) + (1 - RANK) * words + RANK * half
    parts = target.split(half)
    expect(bool((parts[RANK] == mine).all()), "an all-to-all has changed a rank's own part")
    expect(bool((parts[1 - RANK] == theirs).all()), "an all-to-all has brought something else")
    return lambda: dist.all_to_all_single(target, source)


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"rank {RANK}: {otherwise}")


class Counts(NamedTuple):
    """What the page of a rank has, over its NICs."""

    tx: int
    rx: int
    tx_ops: int
    rx_ops: int

    def since(self, before: Counts) -> Counts:
        return Counts(*(now - then for now, then in zip(self, before)))


def pages(railtop: str) -> dict[int, Counts]:
    """The pages of all ranks, by rank."""
    # The monitor is not to be counted.
    hidden = ("FI_HOOK", "FI_PROVIDER_PATH", "LD_PRELOAD")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [railtop, "log", "--source", "page", "-n", "1"]
    lines = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=20).stdout.splitlines()
    found: dict[int, Counts] = {}
    for row in map(json.loads, lines):
        if row.get("source") != "page":
            continue
        counters = row["counters"]
        # A row is without what is not known.
        known = row.get("rx_bytes") is not None and row.get("rx_ops") is not None
        expect(known, f"the page of rank {row['pe']} does not know what arrived: Rx source {row.get('rx_source', 'none')}")
        for error in ("tx_errors", "rx_errors"):
            expect(counters[error] == 0, f"the page of rank {row['pe']} has {counters[error]} {error}")
        here = (row["tx_bytes"], row["rx_bytes"], row["tx_ops"], row["rx_ops"])
        found[row["pe"]] = Counts(*(a + b for a, b in zip(found.get(row["pe"], (0, 0, 0, 0)), here)))
    expect(sorted(found) == [0, 1], f"pages of ranks {sorted(found)}, not of 0 and 1")
    return found


def row(ranks: Ranks, work: Work, railtop: str | None) -> None:
    """Does one row of work, and says how fast it was and what was counted."""
    run = prepare(work)
    for _ in range(WARM_UP):
        run()
    ranks.meet()
    before = counted(railtop)
    ranks.meet()
    begin = time.perf_counter()
    for _ in range(work.iterations):
        run()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begin
    ranks.meet()
    after = counted(railtop)
    ranks.meet()
    if RANK != 0:
        return
    each = seconds / work.iterations
    print("speed", work.what, work.size, f"{each * 1e6:.1f} {work.sent() / each / 1e9:.4g}", flush=True)
    for rank in after:
        print("count", work.what, work.size, rank, work.iterations * work.sent(), *after[rank].since(before[rank]), flush=True)


def counted(railtop: str | None) -> dict[int, Counts]:
    """The pages when they have settled, for rank 0 if it is to look."""
    if RANK != 0:
        return {}
    # Also where nobody looks, so that what is timed comes after the same pause.
    time.sleep(SETTLED)
    return pages(railtop) if railtop is not None else {}


def trace(ranks: Ranks, work: Work, file: str) -> None:
    """Puts what the pages counted beside PyTorch's own slices, and looks whether the two agree in time and amount."""
    run = prepare(work)
    run()
    ranks.meet()
    if RANK != 0:
        ranks.meet()
        for _ in range(work.iterations):
            run()
        ranks.meet()
        return
    import railtop

    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    time.sleep(SETTLED)
    with railtop.Sampler(interval=0.01, source="page") as nics, torch.profiler.profile(activities=activities) as profile:
        time.sleep(0.1)
        ranks.meet()
        for _ in range(work.iterations):
            run()
        ranks.meet()
        time.sleep(SETTLED)
    profile.export_chrome_trace(file)
    nics.merge(file)
    with open(file, encoding="utf-8") as text:
        events = json.load(text)["traceEvents"]
    agree(events, nics, work)


def agree(events: list[dict[str, Any]], nics: Any, work: Work) -> None:
    """Judges a trace with its counter tracks."""
    kernels = [event for event in events if event.get("cat") == "kernel" and "nccl" in event["name"]]
    expect(len(kernels) >= work.iterations, f"{len(kernels)} kernels of NCCL in the trace")
    begin = min(event["ts"] for event in kernels)
    end = max(event["ts"] + event["dur"] for event in kernels)
    # A counter track's event has one value or more; Tx moves where one of them is not 0.
    moves = [
        event["ts"]
        for event in events
        if event.get("ph") == "C" and "Tx" in event["name"] and any(value for value in event["args"].values())
    ]
    expect(bool(moves), "no track of a NIC has any Tx")
    group = {group for group, it in enumerate(nics.groups) if it.pe == 0}
    mine = {nic for nic, it in enumerate(nics.nics) if it.group in group}
    expect(bool(mine), f"no NIC of rank 0 among {nics.nics}")
    sent = 0
    for nic in mine:
        totals = [sample.tx_bytes for sample in nics.samples() if sample.nic == nic and sample.tx_bytes is not None]
        sent += max(totals) - min(totals)
    began, ended = (min(moves) - begin) / 1e3, (max(moves) - end) / 1e3
    print(f"trace: {len(kernels)} kernels over {(end - begin) / 1e3:.1f} ms; Tx began {began:.1f} ms after their begin and ended {ended:.1f} ms after their end")
    print("traced", work.size, work.iterations * work.sent(), sent, f"{began:.1f}", f"{ended:.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="One of two ranks over NCCL.")
    parser.add_argument("store")
    parser.add_argument("--pages", metavar="RAILTOP", help="also compare the counter pages, which this program reads")
    parser.add_argument("--trace", metavar="FILE", help="instead: a trace of PyTorch's profiler with the counters in it")
    arguments = parser.parse_args()
    ranks = Ranks(arguments.store)
    if arguments.trace:
        trace(ranks, TRACED, arguments.trace)
    else:
        for work in ROWS:
            row(ranks, work, arguments.pages)
    dist.destroy_process_group()


main()
