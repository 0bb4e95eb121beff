"""Merging into traces, by what each tool writes into its own."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import railtop
from railtop import trace
from railtop.__main__ import main

from .tree import Tree, until

#: A base as Kineto takes one: some time before the process began.
BASE_NS = time.time_ns() - 86_400 * 10**9


def slice_at(micros: float, dur: float = 1.0) -> dict[str, Any]:
    return {"ph": "X", "name": "step", "pid": 1, "tid": 1, "ts": micros, "dur": dur}


def viztracer(micros: float) -> dict[str, Any]:
    return {"traceEvents": [slice_at(micros)], "viztracer_metadata": {"version": "1.1.1", "overflow": False}}


def kineto(micros: float) -> dict[str, Any]:
    """As libkineto/src/output_json.cpp writes it since PyTorch 2.4."""
    return {
        "schemaVersion": 1,
        "deviceProperties": [],
        "baseTimeNanoseconds": BASE_NS,
        "displayTimeUnit": "ms",
        "traceEvents": [slice_at(micros), {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "python"}}],
    }


def old_kineto(micros: float) -> dict[str, Any]:
    return {"schemaVersion": 1, "deviceProperties": [], "traceEvents": [slice_at(micros)]}


def counters(found: dict[str, Any], name: str) -> list[tuple[float, float]]:
    """A track: moments and values."""
    events = [e for e in found["traceEvents"] if e["ph"] == "C" and e["name"] == name]
    return [(e["ts"], next(iter(e["args"].values()))) for e in events]


class Merge(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        tree = Tree("a")
        self.addCleanup(tree.__exit__)
        self.nics = railtop.Sampler(0.01, sysfs_root=tree.root).start()
        until(self.nics, lambda samples: any(s.tx_bytes == 0 for s in samples))
        tree.set("a", 1_250_000, 0)
        # It is seen, and that it is over.
        until(self.nics, lambda samples: any(s.tx_bytes == 1_250_000 and s.tx_bytes_per_s == 0 for s in samples))
        self.nics.stop()
        # When the interval began in which the bytes were moved, on both clocks, and its rate.
        moved = next(s for s in self.nics.samples() if s.tx_bytes_per_s)
        self.began = moved.mono_ns - (moved.dt_ns or 0), moved.time_ns - (moved.dt_ns or 0)
        self.gbit = (moved.tx_bytes_per_s or 0) * 8 / 1e9

    def path(self, name: str, content: Any) -> Path:
        path = self.folder / name
        raw = json.dumps(content).encode()
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    def steps_of(self, path: Path) -> list[tuple[float, float]]:
        """Where Tx of NIC `a` is above 0."""
        return [(at, value) for at, value in counters(trace.read(path), "a Tx") if value > 0]

    def assert_moved_at(self, path: Path, micros: float, delta: float) -> None:
        ((at, value),) = self.steps_of(path)
        self.assertAlmostEqual(at, micros, delta=delta)
        self.assertAlmostEqual(value, self.gbit, places=9)

    def test_each_tool_has_its_clock(self) -> None:
        mono, wall = self.began[0] / 1e3, self.began[1] / 1e3
        # A double holds microseconds since 1970 to a quarter of one.
        for name, content, expected, delta in (
            ("viztracer.json", viztracer(mono), mono, 0.01),
            ("kineto.json", kineto((self.began[1] - BASE_NS) / 1e3), (self.began[1] - BASE_NS) / 1e3, 0.01),
            ("kineto.json.gz", kineto((self.began[1] - BASE_NS) / 1e3), (self.began[1] - BASE_NS) / 1e3, 0.01),
            ("old.json", old_kineto(wall), wall, 0.5),
        ):
            with self.subTest(name):
                path, out = self.path(name, content), self.folder / f"merged-{name}"
                before = path.read_bytes()
                self.nics.merge(path, out)
                self.assert_moved_at(out, expected, delta)
                self.assertEqual(path.read_bytes(), before)
                merged = trace.read(out)
                # What was there is there.
                self.assertEqual(merged["traceEvents"][0], content["traceEvents"][0])
                self.assertEqual({k: merged[k] for k in content if k != "traceEvents"}, {k: content[k] for k in content if k != "traceEvents"})
                self.assertEqual(merged["railtop"][0]["lost_samples"], 0)

    def test_without_an_output_the_trace_is_replaced_and_keeps_its_mode(self) -> None:
        path = self.path("trace.json.gz", viztracer(self.began[0] / 1e3))
        path.chmod(0o640)
        self.nics.merge(path)
        self.assertEqual(path.read_bytes()[:2], b"\x1f\x8b")
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)
        self.assert_moved_at(path, self.began[0] / 1e3, 0.01)
        self.assertEqual(list(self.folder.iterdir()), [path], "nothing is left over")

    def test_a_file_of_counters_goes_onto_either_clock(self) -> None:
        written = self.folder / "nics.json.gz"
        for clock in ("monotonic", "realtime"):
            self.nics.write(written, clock)
            mono = self.path("v.json", viztracer(self.began[0] / 1e3))
            railtop.merge(mono, written)
            # The wall clock is steered, and a written file of realtime is exact to a quarter of a microsecond.
            self.assert_moved_at(mono, self.began[0] / 1e3, 50.0)
            wall = self.path("k.json", kineto((self.began[1] - BASE_NS) / 1e3))
            railtop.merge(wall, written)
            self.assert_moved_at(wall, (self.began[1] - BASE_NS) / 1e3, 50.0)

    def test_the_command_line_does_the_same(self) -> None:
        written, target = self.folder / "nics.json", self.path("v.json", viztracer(self.began[0] / 1e3))
        self.nics.write(written)
        out = self.folder / "out.json"
        self.assertEqual(main([str(target), str(written), "-o", str(out)]), 0)
        self.assert_moved_at(out, self.began[0] / 1e3, 0.01)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(main([str(target), str(self.folder / "none"), "-o", str(out)]), 1)
        self.assertIn("railtop-trace: ", said.getvalue())

    def test_counters_go_into_counters_too(self) -> None:
        for clock in ("monotonic", "realtime"):
            path = self.folder / f"{clock}.json"
            self.nics.write(path, clock)
            self.nics.merge(path)
            self.assertEqual(len(trace.read(path)["railtop"]), 2)
            steps = self.steps_of(path)
            self.assertEqual(steps[0], steps[1])

    def test_control_characters_in_names_are_no_reason_to_fail(self) -> None:
        path = self.folder / "kineto.json"
        text = json.dumps(kineto((self.began[1] - BASE_NS) / 1e3)).replace('"step"', '"a\tb"')
        path.write_text(text)
        self.nics.merge(path)
        self.assertEqual(trace.read(path)["traceEvents"][0]["name"], "a\tb")

    def test_an_unknown_clock_has_to_be_named(self) -> None:
        path = self.path("other.json", [slice_at(self.began[0] / 1e3)])
        with self.assertRaisesRegex(railtop.UnknownClock, "clock='monotonic'"):
            self.nics.merge(path)
        with self.assertRaisesRegex(ValueError, "'tai'"):
            self.nics.merge(path, clock="tai")
        self.nics.merge(path, clock="monotonic")
        self.assert_moved_at(path, self.began[0] / 1e3, 0.01)

    def test_traces_that_share_no_moment_are_told(self) -> None:
        path = self.path("aligned.json", viztracer(0.0))
        with self.assertWarnsRegex(RuntimeWarning, "no moment in common"):
            self.nics.merge(path)

    def test_what_is_no_trace_is_said_and_left_alone(self) -> None:
        for name, content in (("text.json", b"{"), ("number.json", b"7"), ("none.json", b'{"traceEvents": 3}')):
            path = self.folder / name
            path.write_bytes(content)
            with self.subTest(name), self.assertRaisesRegex(ValueError, name):
                self.nics.merge(path)
            self.assertEqual(path.read_bytes(), content)
        good = self.path("v.json", viztracer(self.began[0] / 1e3))
        with self.assertRaisesRegex(ValueError, "not written by railtop"):
            railtop.merge(good, self.path("w.json", viztracer(0.0)))

    def test_what_is_broken_is_said(self) -> None:
        good, whole = self.path("v.json", viztracer(self.began[0] / 1e3)), self.folder / "whole.json"
        self.nics.write(whole)
        ours = trace.read(whole)

        def about(**changed: Any) -> dict[str, Any]:
            return {**ours, "railtop": {**ours["railtop"], **changed}}

        for content in (
            about(clock="tai"),
            about(clock=["monotonic"]),
            about(base_ns="0"),
            about(base_ns=10**300),
            about(clocks=None),
            about(clocks=[7]),
            about(clocks=[{"monotonic_ns": 1}]),
            {**ours, "railtop": {}},
            {**ours, "traceEvents": [7]},
            {**ours, "traceEvents": [{"ts": "now"}]},
            {**ours, "traceEvents": [{"ts": math.inf}]},
            {**ours, "traceEvents": [{"ts": 10**400}]},
        ):
            path = self.path("broken.json", content)
            with self.subTest(str(content)[-80:]):
                with self.assertRaisesRegex(ValueError, "broken.json is not what"):
                    railtop.merge(good, path)
                with contextlib.redirect_stderr(io.StringIO()):
                    self.assertEqual(main([str(good), str(path)]), 1)
        # A target may have what it likes in its events, as long as it is JSON.
        odd = viztracer(self.began[0] / 1e3)
        odd["traceEvents"] += [7, {"ph": "X", "ts": "now"}, {"ph": "X", "ts": 10**400}, {"ph": "X", "ts": 1.0, "dur": "long"}]
        path = self.path("odd.json", odd)
        self.nics.merge(path)
        self.assert_odd_is_kept(path, odd)
        for base_ns in (1.5, True, "0", 10**300):
            with self.assertRaisesRegex(railtop.UnknownClock, "baseTimeNanoseconds"):
                self.nics.merge(self.path("k.json", {**kineto(1.0), "baseTimeNanoseconds": base_ns}))

    def assert_odd_is_kept(self, path: Path, odd: dict[str, Any]) -> None:
        events = [event for event in trace.read(path)["traceEvents"] if isinstance(event, dict)]
        self.assertTrue([event for event in events if event["ph"] == "C"])
        self.assertIn(odd["traceEvents"][2], events)

    def test_a_broken_file_is_said(self) -> None:
        packed = gzip.compress(json.dumps(viztracer(1.0)).encode())
        damaged = packed[:12] + bytes([packed[12] ^ 0xFF]) + packed[13:]
        for content, why in (
            (packed[:-10], "packed, and broken"),
            (packed[:5], "packed, and broken"),
            (damaged, "packed, and broken"),
            (packed + b"more", "packed, and broken"),
            (b'{"traceEvents":' + b"[" * 200_000, "no JSON"),
            (b"\xff\xfe{", "no JSON"),
        ):
            path = self.folder / "broken"
            path.write_bytes(content)
            with self.subTest(content[:20]), self.assertRaisesRegex(ValueError, why):
                trace.read(path)

    def test_a_packed_file_may_not_claim_all_memory(self) -> None:
        path = self.path("large.json.gz", viztracer(1.0))
        with mock.patch.object(trace, "MOST_BYTES", 10), self.assertRaisesRegex(ValueError, "more than 10 bytes"):
            trace.read(path)

    def test_a_link_stays_one(self) -> None:
        path, link = self.path("trace.json", viztracer(self.began[0] / 1e3)), self.folder / "link.json"
        link.symlink_to(path)
        self.nics.merge(link)
        self.assertTrue(link.is_symlink())
        self.assert_moved_at(path, self.began[0] / 1e3, 0.01)

    def test_no_name_of_a_file_reaches_the_terminal_raw(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(main([str(self.folder / "a\x1b[2Jb"), "counters"]), 1)
        self.assertNotIn("\x1b", said.getvalue())


class Moved(unittest.TestCase):
    def test_a_time_goes_along_the_line_between_two_moments(self) -> None:
        # In 1000 s of the one clock the other runs 1 s more.
        pairs = [(10**12, 5 * 10**12), (2 * 10**12, 6 * 10**12 + 10**9)]
        wall, mono = trace.Clock("realtime", 10**12), trace.Clock("monotonic", 0)
        self.assertEqual(trace._moved(1.5e9, mono, wall, pairs), 4.5005e9)
        self.assertAlmostEqual(trace._moved(4.5005e9, wall, mono, pairs), 1.5e9, delta=1e3)
        self.assertEqual(trace._moved(7.0, mono, mono, pairs), 7.0)


if __name__ == "__main__":
    unittest.main()
