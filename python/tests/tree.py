"""A sysfs tree with EFA devices whose counters a test sets."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Callable

import railtop


def until(nics: railtop.Sampler, holds: Callable[[list[railtop.Sample]], bool]) -> None:
    """Samples until something holds of all samples so far.

    A round waits half a second for the threads that read devices: what one that had no turn has read comes with a later round.
    """
    end = time.monotonic() + 120
    while not holds(nics.samples()):
        if time.monotonic() > end:
            raise AssertionError(f"not after two minutes; the last samples: {nics.samples()[-4:]}")
        nics.wait(nics.status.ticks + 1)


class Tree:
    """Devices by name. As a context manager it goes with the block."""

    def __init__(self, *devices: str) -> None:
        self._dir = tempfile.TemporaryDirectory()
        self.root = Path(self._dir.name)
        for device in devices:
            self.set(device, 0, 0)
            (self._path(device) / "device").mkdir()
            (self._path(device) / "device" / "uevent").write_text("DRIVER=efa\n")

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *_: object) -> None:
        self._dir.cleanup()

    def set(self, device: str, tx_bytes: int, rx_bytes: int) -> None:
        """Sets the byte counters. Renamed into place, so that no reader sees half a write."""
        counters = self._path(device) / "ports" / "1" / "hw_counters"
        counters.mkdir(parents=True, exist_ok=True)
        for name, value in (("tx_bytes", tx_bytes), ("rx_bytes", rx_bytes)):
            new = self.root / f"new-{device}-{name}"
            new.write_text(f"{value}\n")
            os.rename(new, counters / name)

    def remove(self, device: str, counter: str) -> None:
        """Takes a counter away."""
        (self._path(device) / "ports" / "1" / "hw_counters" / counter).unlink()

    def _path(self, device: str) -> Path:
        return self.root / "class" / "infiniband" / device
