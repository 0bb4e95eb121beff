"""A plugin of VizTracer: NICs are sampled while it traces, and are in its file.

    viztracer --plugins railtop.viztracer -- train.py
    viztracer --plugins "railtop.viztracer --interval 0.01 --devices mlx5_*" -- train.py

or, in a program, `VizTracer(plugins=[railtop.viztracer.Plugin(interval=0.01)])`.
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable
from typing import Any, Optional, Union

from viztracer.vizplugin import VizPluginBase

from .sampler import Sampler


class Plugin(VizPluginBase):  # type: ignore[misc,unused-ignore]
    """Samples from VizTracer's start to its stop, and adds the counter tracks when it saves."""

    def __init__(self, interval: float = 0.01, devices: Union[str, Iterable[str], None] = None, **more: Any) -> None:
        super().__init__()
        #: What samples, for those who want its numbers too.
        self.sampler = Sampler(interval, devices, **more)
        self._pending: Optional[dict[str, Any]] = None

    def support_version(self) -> str:
        """The oldest VizTracer with the messages used here."""
        return "0.15.0"

    def message(self, m_type: str, payload: dict[str, Any]) -> dict[str, Any]:
        """What VizTracer says."""
        if m_type == "event" and payload["when"] == "pre-start":
            self.sampler.start()
        elif m_type == "event" and payload["when"] == "post-stop":
            self.sampler.stop()
            # VizTracer's times are those of CLOCK_MONOTONIC.
            self._pending = json.loads(self.sampler.trace("monotonic"))
        elif m_type == "event" and payload["when"] == "pre-save":
            return {"action": "handle_data", "handler": self._add}
        elif m_type == "command" and payload["cmd_type"] == "terminate":
            return {"success": True}
        return {}

    def _add(self, data: dict[str, Any]) -> None:
        if self._pending is not None:
            data["traceEvents"].extend(self._pending["traceEvents"])
            data.setdefault("railtop", []).append(self._pending["railtop"])
            # Saved twice, it is there twice already.
            self._pending = None


def get_vizplugin(argument: str) -> Plugin:
    """What VizTracer calls for `--plugins "railtop.viztracer ..."`."""
    parser = argparse.ArgumentParser(prog="railtop.viztracer")
    parser.add_argument("--interval", type=float, default=0.01, help="seconds between samples")
    parser.add_argument("--devices", help="names or patterns with * and ?, separated by commas")
    found = parser.parse_args(shlex.split(argument)[1:])
    return Plugin(found.interval, found.devices)
