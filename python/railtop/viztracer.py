"""A plugin of VizTracer: NICs are sampled while it traces, and are in its file.

    viztracer --plugins railtop.viztracer -- train.py
    viztracer --plugins "railtop.viztracer --interval 0.01 --devices mlx5_*" -- train.py

or, in a program, `VizTracer(plugins=[railtop.viztracer.Plugin(interval=0.01)])`.

The process that was told to trace samples, and no child of it does: the NICs are the machine's, and one set of tracks in the
combined file is enough.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Optional, Union

from viztracer.vizplugin import VizPluginBase

from .sampler import Sampler


class Plugin(VizPluginBase):  # type: ignore[misc,unused-ignore]
    """Samples from VizTracer's start to its stop, and adds the counter tracks when it saves.

    Only in the process that starts it first: a child of fork has VizTracer's slices and no tracks.
    """

    def __init__(self, interval: float = 0.01, devices: Union[str, Iterable[str], None] = None, **more: Any) -> None:
        super().__init__()
        #: What samples, for those who want its numbers too.
        self.sampler = Sampler(interval, devices, **more)
        #: Traces of what was sampled since VizTracer saved last, one for each time it was stopped.
        self._pending: list[dict[str, Any]] = []
        #: The process that samples, once there is one.
        self._process: Optional[int] = None

    def support_version(self) -> str:
        """The oldest VizTracer with the messages used here."""
        return "0.15.0"

    def message(self, m_type: str, payload: dict[str, Any]) -> dict[str, Any]:
        """What VizTracer says."""
        if m_type == "event" and payload["when"] == "pre-start":
            self._start()
        elif m_type == "event" and payload["when"] == "post-stop":
            self._stop()
        elif m_type == "event" and payload["when"] == "pre-save":
            return {"action": "handle_data", "handler": self._add}
        elif m_type == "command" and payload["cmd_type"] == "terminate":
            return {"success": True}
        return {}

    def _start(self) -> None:
        self._process = self._process or os.getpid()
        if self._is_ours():
            self.sampler.start()

    def _stop(self) -> None:
        if self._is_ours():
            self.sampler.stop()
            # VizTracer's times are those of CLOCK_MONOTONIC.
            self._pending.append(json.loads(self.sampler.trace("monotonic")))

    def _is_ours(self) -> bool:
        """Whether this process samples. One that was forked off it has its memory, and must not save that for its own."""
        if self._process == os.getpid():
            return True
        self._pending.clear()
        return False

    def _add(self, data: dict[str, Any]) -> None:
        for trace in self._pending:
            data["traceEvents"].extend(trace["traceEvents"])
            data.setdefault("railtop", []).append(trace["railtop"])
        # VizTracer keeps `data` until it starts again: a second save writes what was added here for the first.
        self._pending.clear()


class Silent(VizPluginBase):  # type: ignore[misc,unused-ignore]
    """In a subprocess that VizTracer traces too: its parent samples already."""

    def support_version(self) -> str:
        """As `Plugin` has it."""
        return "0.15.0"


def get_vizplugin(argument: str) -> Union[Plugin, Silent]:
    """What VizTracer calls for `--plugins "railtop.viztracer ..."`."""
    parser = argparse.ArgumentParser(prog="railtop.viztracer")
    parser.add_argument("--interval", type=float, default=0.01, help="seconds between samples")
    parser.add_argument("--devices", help="names or patterns with * and ?, separated by commas")
    found = parser.parse_args(shlex.split(argument)[1:])
    return Silent() if _is_subprocess() else Plugin(found.interval, found.devices)


def _is_subprocess() -> bool:
    """Whether VizTracer started this process itself, for a Python that the traced program started.

    It passes its own arguments on, plugins among them, and then these two (viztracer/patch.py); before `sys.argv` became the
    traced program's, they were there.
    """
    words = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    return (b"--subprocess_child", b"--dump_raw") in zip(words, words[1:])
