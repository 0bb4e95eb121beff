"""Chrome traces: which clock one has, and putting counter tracks into it."""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from ._warn import warn

if TYPE_CHECKING:
    from .sampler import Sampler

PathLike = Union[str, "os.PathLike[str]"]

#: Bytes of JSON that a packed trace may have: a small file can claim any number, and 8 GiB is more than Perfetto opens.
MOST_BYTES = 8 << 30
#: The latest moment, and the longest base, in ns: what 64 bits hold.
_MOST_NS = (1 << 63) - 1


class UnknownClock(ValueError):
    """Nothing in a trace says which clock its times are of; name it with `clock=`."""


class Clock(NamedTuple):
    """The time stamps of a trace: `name` (monotonic or realtime) minus `base_ns`."""

    name: str
    base_ns: int


def merge(
    trace_file: PathLike,
    counters: Union[Sampler, PathLike],
    out: Optional[PathLike] = None,
    *,
    clock: Optional[str] = None,
) -> None:
    """Puts the counter tracks of `counters` into the trace in `trace_file`, and writes that to `out`.

    `trace_file` is JSON of VizTracer or of PyTorch's profiler, packed (`.gz`) or not; `counters` a `Sampler` or a file that one
    wrote; `out` is `trace_file` itself unless given, and replaced in one step. Which clock the trace has is found out from what its tool
    wrote; for another tool's trace `clock` says it: `monotonic` or `realtime`.
    """
    target = read(trace_file)
    theirs = clock_of(target, clock)
    ours = _counters(counters, theirs)
    if _are_apart(target["traceEvents"], ours["traceEvents"]):
        warn(
            f"railtop: the counter tracks and the slices of {os.fspath(trace_file)} have no moment in common. Was the sampler "
            "running meanwhile, on the same machine, and are the trace's times as they were taken (no --align)?",
            RuntimeWarning,
        )
    target["traceEvents"].extend(ours["traceEvents"])
    about = target.get("railtop", [])
    target["railtop"] = [*(about if isinstance(about, list) else [about]), ours["railtop"]]
    write_text(trace_file if out is None else out, json.dumps(target, separators=(",", ":")))


def clock_of(target: dict[str, Any], named: Optional[str] = None) -> Clock:
    """The clock of a trace, by what its tool writes into it.

    VizTracer: microseconds of CLOCK_MONOTONIC, and `viztracer_metadata`. PyTorch's profiler (Kineto): microseconds since 1970 minus
    `baseTimeNanoseconds`, which versions before 2.4 do not have, and `schemaVersion`. Ours: `railtop`.
    """
    base_ns = target.get("baseTimeNanoseconds", 0)
    if not _is_ns(base_ns):
        raise UnknownClock(f"baseTimeNanoseconds is {base_ns!r:.80} and no number of nanoseconds")
    if named is not None:
        if named not in ("monotonic", "realtime"):
            raise ValueError(f"clock is monotonic or realtime, and not {named!r}")
        return Clock(named, base_ns if named == "realtime" else 0)
    # First, since VizTracer puts a trace of PyTorch's into its own, on its own clock.
    if "viztracer_metadata" in target:
        return Clock("monotonic", 0)
    if "baseTimeNanoseconds" in target or "schemaVersion" in target:
        return Clock("realtime", base_ns)
    ours = target.get("railtop")
    if isinstance(ours, dict) and "clock" in ours:
        return _own_clock(ours)
    raise UnknownClock(
        "this trace is neither VizTracer's nor PyTorch's; say which clock its times are of: clock='monotonic' or clock='realtime'"
    )


def read(path: PathLike) -> dict[str, Any]:
    """A Chrome trace, packed or not; a bare list of events becomes an object."""
    raw = Path(path).read_bytes()
    # By what it is, not by its name.
    if raw[:2] == b"\x1f\x8b":
        raw = _unpacked(path, raw)
    try:
        # Names of functions and kernels may hold control characters, which Kineto writes as they are.
        found = json.loads(raw, strict=False)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.fspath(path)} is no JSON: {error}") from None
    if isinstance(found, list):
        found = {"traceEvents": found}
    if not isinstance(found, dict) or not isinstance(found.get("traceEvents"), list):
        raise ValueError(f"{os.fspath(path)} is no Chrome trace: it has no list traceEvents")
    return found


def _unpacked(path: PathLike, raw: bytes) -> bytes:
    found = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            while len(found) <= MOST_BYTES and (piece := file.read(1 << 20)):
                found += piece
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{os.fspath(path)} is packed, and broken: {error}") from None
    if len(found) > MOST_BYTES:
        raise ValueError(f"{os.fspath(path)} has more than {MOST_BYTES} bytes when it is unpacked; unpack it before")
    return bytes(found)


def write_text(path: PathLike, text: str) -> None:
    """Writes a file in one step, packed if its name ends in `.gz`: whoever reads it meanwhile has the old one, whole."""
    # Where a link leads to, so that the link stays one.
    target = Path(os.path.realpath(path))
    raw = text.encode()
    if Path(path).suffix == ".gz":
        raw = gzip.compress(raw)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    handle, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        os.chmod(new, mode)
        os.replace(new, target)
    except BaseException:
        os.unlink(new)
        raise


def _umask() -> int:
    """What new files may not have. Read from the kernel, since asking the C library changes it for all threads."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o077


def _counters(counters: Union[Sampler, PathLike], clock: Clock) -> dict[str, Any]:
    """The counter tracks, on that clock."""
    if not isinstance(counters, (str, os.PathLike)):
        found: dict[str, Any] = json.loads(counters.trace(clock.name, clock.base_ns))
        return found
    found = read(counters)
    about = found.get("railtop")
    if not isinstance(about, dict):
        raise ValueError(f"{os.fspath(counters)} was not written by railtop's Sampler.write")
    try:
        own, pairs = _own_clock(about), _pairs(about.get("clocks"))
        for event in found["traceEvents"]:
            if not isinstance(event, dict):
                raise ValueError(f"an event is {event!r:.80} and no object")
            if "ts" in event:
                if not _is_moment(event["ts"]):
                    raise ValueError(f"an event's ts is {event['ts']!r:.80} and no time in microseconds")
                event["ts"] = _moved(event["ts"], own, clock, pairs)
    except ValueError as error:
        raise ValueError(f"{os.fspath(counters)} is not what railtop's Sampler.write wrote: {error}") from None
    about.update(clock=clock.name, base_ns=clock.base_ns)
    return found


def _own_clock(about: dict[str, Any]) -> Clock:
    """The clock of a trace of ours."""
    name, base_ns = about.get("clock"), about.get("base_ns")
    if name not in ("monotonic", "realtime"):
        raise ValueError(f"railtop.clock is {name!r:.80} and neither monotonic nor realtime")
    if not _is_ns(base_ns):
        raise ValueError(f"railtop.base_ns is {base_ns!r:.80} and no number of nanoseconds")
    return Clock(name, base_ns)


def _pairs(clocks: Any) -> list[tuple[int, int]]:
    """Moments at which a trace of ours knows both clocks, monotonic first."""
    if not isinstance(clocks, list):
        raise ValueError("railtop.clocks is no list")
    pairs = [(pair.get("monotonic_ns"), pair.get("realtime_ns")) if isinstance(pair, dict) else (None, None) for pair in clocks]
    if not all(_is_ns(moment) for pair in pairs for moment in pair):
        raise ValueError("railtop.clocks has something else than pairs of moments in nanoseconds")
    return pairs


def _is_ns(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST_NS


def _is_moment(value: Any) -> bool:
    """Whether that is a time in microseconds."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _MOST_NS / 1000


def _moved(micros: float, own: Clock, to: Clock, pairs: list[tuple[int, int]]) -> float:
    """A time stamp of one clock as one of another: on the straight line between the two moments at which both are known."""
    at = round(micros * 1000) + own.base_ns
    if own.name != to.name and pairs:
        source, target = (0, 1) if to.name == "realtime" else (1, 0)
        first, last = pairs[0], pairs[-1]
        span = last[source] - first[source]
        drift = (last[target] - first[target]) - span
        part = round(drift * (at - first[source]) / span) if span > 0 else 0
        at += first[target] - first[source] + part
    return (at - to.base_ns) / 1000


def _are_apart(theirs: list[Any], ours: list[Any]) -> bool:
    """Whether all of one is over before the other begins."""
    ends = [_ends(events) for events in (theirs, ours)]
    if ends[0] is None or ends[1] is None:
        return False
    return ends[0][1] < ends[1][0] or ends[1][1] < ends[0][0]


def _ends(events: list[Any]) -> Optional[tuple[float, float]]:
    """The first and the last moment of slices and counters."""
    # Others may write what they like; what is no time says nothing about when the trace was.
    timed = [e for e in events if isinstance(e, dict) and e.get("ph") in ("X", "C", "B", "E") and _is_moment(e.get("ts"))]
    moments = [(e["ts"], e["ts"] + (e["dur"] if _is_moment(e.get("dur")) else 0)) for e in timed]
    return (min(m[0] for m in moments), max(m[1] for m in moments)) if moments else None
