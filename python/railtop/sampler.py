"""The sampler: a native thread, and what it has read."""

from __future__ import annotations

import ctypes
import math
import os
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Optional, Union

from . import _library, trace
from ._library import HAS_RX_BYTES, HAS_TX_BYTES, MARKS, check, library, take_text
from ._warn import warn

#: Rows that are copied out of the library at a time.
_ROWS = 4096
#: Seconds that one wait in the library takes at most: only after it does Python see that somebody has pressed Ctrl-C.
_PATIENCE = 0.1

PathLike = Union[str, "os.PathLike[str]"]


class Overflow(RuntimeWarning):
    """The sampler's memory was full and the oldest samples had to make room: a trace begins later than the sampler did."""


class Nic(NamedTuple):
    """A NIC: one port of an RDMA device, or one NIC of a PE's counter page."""

    key: str
    device: str
    port: int
    driver: Optional[str]
    source: str
    pci: Optional[str]
    netdev: Optional[str]
    numa: Optional[int]
    link_bits_per_s: Optional[float]
    #: Place in Sampler.groups of the group it was first seen in.
    group: int


class Group(NamedTuple):
    """NICs that should share one load: those of a PE, a GPU, a NUMA node or the machine (`kind`)."""

    key: str
    name: str
    kind: str
    node: str
    gpu: Optional[str]
    numa: Optional[int]
    pe: Optional[int]


class Sample(NamedTuple):
    """One NIC, read once. What is not known is None, never 0."""

    #: Place in Sampler.nics.
    nic: int
    #: The middle of the read in ns: on time.monotonic_ns()'s clock, and on time.time_ns()'s.
    mono_ns: int
    time_ns: int
    #: Since the beginning of the counter.
    tx_bytes: Optional[int]
    rx_bytes: Optional[int]
    #: Over the last `dt_ns`.
    tx_bytes_per_s: Optional[float]
    rx_bytes_per_s: Optional[float]
    dt_ns: Optional[int]
    #: How to read it: `new`, `reset`, `stale`, `dead`, `stalled`, `torn`, `gone`, `down` (include/railtop.h).
    marks: tuple[str, ...]


class Balance(NamedTuple):
    """How evenly the NICs of a group shared one interval's load. What is not known is None, never 0."""

    #: Place in Sampler.groups.
    group: int
    #: NICs in it; 0 once, when the group is not there any more.
    nics: int
    mono_ns: int
    time_ns: int
    tx_bytes_per_s: Optional[float]
    rx_bytes_per_s: Optional[float]
    #: Busiest NIC over the mean of all: 1 is even, N is one NIC of N; None also when nothing moves.
    tx_max_over_mean: Optional[float]
    rx_max_over_mean: Optional[float]


class Status(NamedTuple):
    """How a sampler is."""

    running: bool
    interval: float
    ticks: int
    #: Rounds of reads that were left out because the machine or a device was too slow.
    missed_ticks: int
    samples: int
    #: Samples that had to make room for newer ones.
    lost_samples: int


class Sampler:
    """Samples this machine's RDMA NICs in the background, on a native thread.

    As a context manager it starts and stops with the block. `interval` is in seconds (0.01 to 3600), `devices` a pattern with
    `*` and `?` or several of them, `source` one of page, sysfs, netlink, netdev and auto. `capacity` is the most samples of
    NICs, and the most balances of groups, that are kept, 64 bytes each: the newest stay, and an `Overflow` warning says what
    was lost.

    All methods may be called from any thread. In a child of fork the sampler is dead: methods raise RailtopError there, and a
    new one may be started.
    """

    def __init__(
        self,
        interval: float = 0.1,
        devices: Union[str, Iterable[str], None] = None,
        *,
        source: str = "auto",
        sysfs_root: Optional[PathLike] = None,
        capacity: int = 1_000_000,
    ) -> None:
        if not (isinstance(interval, (int, float)) and math.isfinite(interval) and 0 < interval <= 3600):
            raise ValueError(f"interval is in seconds, from 0.01 to 3600, and not {interval!r}")
        if capacity < 1:
            raise ValueError(f"capacity is at least 1, and not {capacity!r}")
        if devices is not None and not isinstance(devices, str):
            devices = ",".join(devices)
        self._options: dict[str, Any] = {
            "devices": None if devices is None else _argument("devices", devices),
            "source": _argument("source", source),
            "sysfs_root": None if sysfs_root is None else _argument("sysfs_root", os.fspath(sysfs_root)),
            "interval_ns": round(interval * 1e9),
            "capacity": capacity,
        }
        self._handle: Optional[_library.Handle] = None
        self._said_overflow = False

    def start(self) -> Sampler:
        """Starts sampling and waits for the first read; what an earlier run has sampled is forgotten."""
        options = _library.Options(size=ctypes.sizeof(_library.Options), **self._options)
        handle = ctypes.c_void_p()
        check(library().railtop_sampler_start(ctypes.byref(options), ctypes.byref(handle)))
        self._handle, self._said_overflow = _library.Handle(handle), False
        try:
            if not self.nics:
                # The job goes on without, but whoever looks for tracks shall know why there are none.
                warn(f"railtop: nothing to sample: {self.notes or 'no reason is known'}", RuntimeWarning)
        except BaseException:
            # A warning may be an error. Then nobody has a sampler to stop.
            self._handle = None
            raise
        return self

    def stop(self) -> None:
        """Reads once more and stops. What was sampled stays until the object goes, or is started again."""
        check(library().railtop_sampler_stop(self._started()))
        self._warn_of_overflow()

    def __enter__(self) -> Sampler:
        return self.start()

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        where: Optional[TracebackType],
    ) -> None:
        self.stop()

    def wait(self, ticks: int, timeout: float = 60.0) -> bool:
        """Waits until `ticks` rounds of reads are done since the start; False when that takes longer than `timeout` seconds.

        A timeout of `math.inf` waits for as long as it takes, one of 0 or less only looks.
        """
        if math.isnan(timeout):
            raise ValueError("timeout is in seconds, and not nan")
        if not 0 <= ticks < 1 << 64:
            raise ValueError(f"ticks is a number of rounds, and not {ticks!r}")
        handle, end = self._started(), time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            code = library().railtop_sampler_wait(handle, ticks, round(min(max(left, 0.0), _PATIENCE) * 1e9))
            if code != _library.E_TIMEOUT:
                check(code)
                return True
            if left <= 0:
                return False

    @property
    def status(self) -> Status:
        """How it is."""
        found = self._status()
        return Status(
            bool(found.running), found.interval_ns / 1e9, found.ticks, found.missed_ticks, found.samples, found.lost_samples
        )

    @property
    def nics(self) -> list[Nic]:
        """The NICs seen so far; places stay."""
        handle, nics = self._started(), []
        for number in range(self._status().nics):
            nic = _library.Nic(size=ctypes.sizeof(_library.Nic))
            check(library().railtop_sampler_nic(handle, number, ctypes.byref(nic)))
            nics.append(
                Nic(
                    nic.key.decode(),
                    nic.device.decode(),
                    nic.port,
                    _text(nic.driver),
                    nic.source.decode(),
                    _text(nic.pci),
                    _text(nic.netdev),
                    _or_none(nic.numa),
                    _number(nic.link_bits_per_s),
                    nic.group,
                )
            )
        return nics

    @property
    def groups(self) -> list[Group]:
        """The groups seen so far; places stay."""
        handle, groups = self._started(), []
        for number in range(self._status().groups):
            group = _library.Group(size=ctypes.sizeof(_library.Group))
            check(library().railtop_sampler_group(handle, number, ctypes.byref(group)))
            key, name, kind, node = (t.decode() for t in (group.key, group.name, group.kind, group.node))
            groups.append(Group(key, name, kind, node, _text(group.gpu), _or_none(group.numa), _or_none(group.pe)))
        return groups

    def samples(self) -> list[Sample]:
        """All samples that are kept, oldest first."""
        return [
            Sample(
                row.nic,
                row.mono_ns,
                row.mono_ns + row.wall_minus_mono_ns,
                row.tx_bytes if row.flags & HAS_TX_BYTES else None,
                row.rx_bytes if row.flags & HAS_RX_BYTES else None,
                _number(row.tx_bytes_per_s),
                _number(row.rx_bytes_per_s),
                row.dt_ns or None,
                tuple(name for bit, name in MARKS.items() if row.flags & bit),
            )
            for row in self._rows(_library.Sample, library().railtop_sampler_read)
        ]

    def balances(self) -> list[Balance]:
        """The balance of every group at every tick that is kept, oldest first."""
        return [
            Balance(
                row.group,
                row.nics,
                row.mono_ns,
                row.mono_ns + row.wall_minus_mono_ns,
                _number(row.tx_bytes_per_s),
                _number(row.rx_bytes_per_s),
                _number(row.tx_max_over_mean),
                _number(row.rx_max_over_mean),
            )
            for row in self._rows(_library.Balance, library().railtop_sampler_read_balance)
        ]

    @property
    def notes(self) -> str:
        """What a person should know, a line each: why there is no NIC, which device cannot be read, what was lost."""
        text = ctypes.c_void_p()
        check(library().railtop_sampler_notes(self._started(), ctypes.byref(text)))
        return take_text(text)

    def trace(self, clock: str = "monotonic", base_ns: int = 0) -> str:
        """Everything that is kept as a Chrome trace in JSON.

        Its times are those of `clock` (`monotonic` or `realtime`) minus `base_ns`.
        """
        clocks = {"monotonic": _library.CLOCK_MONOTONIC, "realtime": _library.CLOCK_REALTIME}
        if clock not in clocks:
            raise ValueError(f"clock is monotonic or realtime, and not {clock!r}")
        text = ctypes.c_void_p()
        if not -(1 << 63) <= base_ns < 1 << 63:
            raise ValueError(f"base_ns is in nanoseconds, in 64 bits, and not {base_ns!r}")
        check(library().railtop_sampler_trace(self._started(), clocks[clock], base_ns, ctypes.byref(text)))
        # First, so that it is freed also where the warning is an error.
        found = take_text(text)
        self._warn_of_overflow()
        return found

    def write(self, path: PathLike, clock: str = "monotonic") -> None:
        """Writes a trace of its own, packed if `path` ends in `.gz`. `railtop.merge` can put it into another one later."""
        trace.write_text(path, self.trace(clock))

    def merge(self, trace_file: PathLike, out: Optional[PathLike] = None, *, clock: Optional[str] = None) -> None:
        """Puts the counter tracks into a trace of VizTracer or PyTorch's profiler; see `railtop.merge`."""
        trace.merge(trace_file, self, out, clock=clock)

    def _started(self) -> _library.Handle:
        if self._handle is None:
            raise RuntimeError("this sampler was never started: use it as a context manager, or call start()")
        return self._handle

    def _status(self) -> Any:
        found = _library.Status(size=ctypes.sizeof(_library.Status))
        check(library().railtop_sampler_status(self._started(), ctypes.byref(found)))
        return found

    def _rows(self, kind: type[Any], read: Callable[..., int]) -> list[Any]:
        handle, cursor, count, all_rows = self._started(), ctypes.c_uint64(), ctypes.c_size_t(), []
        while True:
            rows = (kind * _ROWS)()
            check(read(handle, ctypes.byref(cursor), rows, ctypes.sizeof(kind), _ROWS, ctypes.byref(count)))
            all_rows.extend(rows[: count.value])
            if count.value < _ROWS:
                return all_rows

    def _warn_of_overflow(self) -> None:
        lost = self._status().lost_samples
        if lost and not self._said_overflow:
            self._said_overflow = True
            warn(
                f"railtop: {lost} older samples were lost, since more than {self._options['capacity']} are not kept; take a longer "
                "interval, fewer devices or a larger capacity",
                Overflow,
            )


def _argument(name: str, value: Union[str, bytes]) -> bytes:
    """A text for the library. A surrogate stands for a byte that is no UTF-8, and a NUL would end the text."""
    try:
        raw = value if isinstance(value, bytes) else value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} cannot be written in UTF-8: {value!r}") from None
    if b"\0" in raw:
        raise ValueError(f"{name} has a NUL in it: {value!r}")
    return raw


def _text(text: Optional[bytes]) -> Optional[str]:
    return None if text is None else text.decode()


def _number(value: float) -> Optional[float]:
    return None if math.isnan(value) else value


def _or_none(number: int) -> Optional[int]:
    return None if number < 0 else number
