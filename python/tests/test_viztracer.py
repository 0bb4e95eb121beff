"""With the real VizTracer: its slices and our counters on one clock."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable

import railtop

from .tree import Tree

VizTracer: Any
Plugin: Any
try:
    from viztracer import VizTracer

    from railtop.viztracer import Plugin
except ImportError:
    VizTracer = Plugin = None

#: How exact a rate times its interval is: times have three decimals of a microsecond, intervals ten milliseconds.
TOLERANCE = 1e-5
#: Microseconds by which VizTracer's clock, which it fits to the monotonic one at both ends of a run, may be off.
CLOCK = 1000.0
#: Bytes sent at a time, each of its own size, so that each can be told from the others.
STEPS = [1_000_000, 3_000_000, 7_000_000, 20_000_000]


def rest(nics: railtop.Sampler) -> None:
    """Until it was read twice: once may have begun before."""
    nics.wait(nics.status.ticks + 2)


def move(tree: Tree, total: int, nics: railtop.Sampler) -> None:
    """Moves the counters, and ends when that has been read."""
    tree.set("a", total, total // 2)
    nics.wait(nics.status.ticks + 2)


def work(tree: Tree, nics: railtop.Sampler) -> None:
    total = 0
    rest(nics)
    for step in STEPS:
        total += step
        move(tree, total, nics)
        rest(nics)


def slices(events: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    """From when to when a function ran, in microseconds."""
    found = [e for e in events if e["ph"] == "X" and e["name"].startswith(f"{name} (")]
    return sorted((e["ts"], e["ts"] + e["dur"]) for e in found)


def segments(events: list[dict[str, Any]], name: str) -> list[tuple[float, float, float]]:
    """From when to when a counter was above 0, and its value."""
    points = [(e["ts"], e["args"]["Gbit/s"]) for e in events if e["ph"] == "C" and e["name"] == name]
    pairs = zip(points, points[1:])
    return [(at, until, value) for (at, value), (until, _) in pairs if value > 0]


def mark() -> int:
    return time.monotonic_ns()


class ClockOff(AssertionError):
    """Times that are further apart than the clocks should be."""


def near(holds: bool, what: object) -> None:
    """Of times."""
    if not holds:
        raise ClockOff(what)


def when_the_clock_fits(test: Callable[[Any], None]) -> Callable[[Any], None]:
    """Tries a few times: where VizTracer has no turn between its looks at two clocks, its fit is off by as much."""

    @functools.wraps(test)
    def tried(case: Any) -> None:
        for _ in range(9):
            try:
                return test(case)
            except ClockOff as off:
                print(f"once more, its clock was off: {off}", file=sys.stderr)
        return test(case)

    return tried


@unittest.skipIf(VizTracer is None, "needs VizTracer (scripts/fetch-viztracer.sh)")
class OneClock(unittest.TestCase):
    @when_the_clock_fits
    def test_its_times_are_those_of_our_clock(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "trace.json")
            with VizTracer(output_file=str(path), verbose=0):
                moments = [mark() / 1e3 for _ in range(100)]
            marks = slices(json.loads(path.read_text())["traceEvents"], "mark")
        self.assertEqual(len(marks), len(moments))
        for (begin, end), moment in zip(marks, moments):
            near(begin - CLOCK <= moment <= end + CLOCK, (begin, moment, end))

    def assert_lined_up(self, path: Path) -> None:
        events = json.loads(path.read_text())["traceEvents"]
        moves, rests = slices(events, "move"), slices(events, "rest")
        self.assertEqual((len(moves), len(rests)), (len(STEPS), len(STEPS) + 1))
        for name, part in (("a Tx", 1.0), ("a Rx", 0.5)):
            seen = segments(events, name)
            amount = sum((until - at) * 1e-6 * gbit * 1e9 / 8 for at, until, gbit in seen)
            self.assertAlmostEqual(amount / (sum(STEPS) * part), 1.0, delta=TOLERANCE)
            for (begin, end), (_, quiet_since), step in zip(moves, [(0.0, 0.0), *moves], STEPS):
                # What was moved within a slice was seen within it, by a read that comes after the slice before.
                of_it = [s for s in seen if begin - CLOCK <= s[1] <= end + CLOCK]
                near(all(at >= quiet_since - CLOCK for at, _, _ in of_it), of_it)
                total = sum((until - at) * 1e-6 * gbit * 1e9 / 8 for at, until, gbit in of_it)
                near(abs(total / (step * part) - 1.0) <= TOLERANCE, (step, total))
            # And in the others nothing was.
            stray = [s for s in seen if not any(begin - CLOCK <= s[1] <= end + CLOCK for begin, end in moves)]
            near(not stray, stray)

    @when_the_clock_fits
    def test_a_merged_trace(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Tree("a") as tree:
            path, out = Path(folder, "trace.json"), Path(folder, "merged.json")
            with VizTracer(output_file=str(path), verbose=0):
                with railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
                    work(tree, nics)
            nics.merge(path, out)
            self.assert_lined_up(out)
            self.assertEqual(json.loads(path.read_text())["viztracer_metadata"], json.loads(out.read_text())["viztracer_metadata"])

    @when_the_clock_fits
    def test_the_plugin_in_a_program(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Tree("a") as tree:
            path = Path(folder, "trace.json")
            plugin = Plugin(sysfs_root=tree.root)
            with VizTracer(output_file=str(path), verbose=0, plugins=[plugin]):
                work(tree, plugin.sampler)
            self.assert_lined_up(path)

    @when_the_clock_fits
    def test_what_was_traced_before_a_pause_is_there_too(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Tree("a") as tree:
            path = Path(folder, "trace.json")
            plugin = Plugin(sysfs_root=tree.root)
            tracer = VizTracer(output_file=str(path), verbose=0, plugins=[plugin])
            for total in (1_000_000, 3_000_000):
                tracer.start()
                rest(plugin.sampler)
                move(tree, total, plugin.sampler)
                tracer.stop()
            tracer.save()
            found = json.loads(path.read_text())
            self.assertEqual(len(slices(found["traceEvents"], "move")), 2)
            moved = [(until - at) * 1e-6 * gbit * 1e9 / 8 for at, until, gbit in segments(found["traceEvents"], "a Tx")]
            self.assertAlmostEqual(sum(moved) / 3_000_000, 1.0, delta=TOLERANCE)
            self.assertEqual(len(found["railtop"]), 2)
            tracer.terminate()

    def run_traced(self, folder: str, program: str) -> list[dict[str, Any]]:
        """Events of a program under VizTracer's command line, of all its processes."""
        path, source = Path(folder, "trace.json"), Path(folder, "program.py")
        source.write_text(program)
        with Tree("a") as tree:
            command = [sys.executable, "-m", "viztracer", "--quiet", "-o", str(path)]
            command += ["--plugins", "railtop.viztracer", "--", str(source)]
            environment = {**os.environ, "RAILTOP_SYSFS_ROOT": str(tree.root)}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        self.assertNotIn("Traceback", done.stderr)
        events: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
        return events

    def assert_one_set_of_tracks(self, events: list[dict[str, Any]], function: str) -> None:
        # The child's slices are there, in a process of their own, and the tracks end once, with one point at the end.
        of = {e["pid"] for e in events if e["ph"] == "X" and e["name"].startswith(f"{function} (")}
        main = {e["pid"] for e in events if e["ph"] == "X" and e["name"].startswith("parents_work (")}
        self.assertEqual((len(of), len(main), of & main), (1, 1, set()))
        names = [e["args"]["name"] for e in events if e["ph"] == "M" and "(railtop)" in e["args"]["name"]]
        self.assertEqual(len(names), 1)
        self.assertEqual({e["name"] for e in events if e["ph"] == "C"}, {"a Tx", "a Rx"})

    def test_children_keep_their_slices_and_have_no_tracks(self) -> None:
        for method in ("fork", "spawn", "forkserver"):
            program = (
                "import multiprocessing, time\n"
                "def childs_work(): time.sleep(0.05)\n"
                "def parents_work(): time.sleep(0.05)\n"
                "if __name__ == '__main__':\n"
                f"    child = multiprocessing.get_context('{method}').Process(target=childs_work)\n"
                "    child.start(); parents_work(); child.join()\n"
                "    assert child.exitcode == 0\n"
            )
            with self.subTest(method), tempfile.TemporaryDirectory() as folder:
                self.assert_one_set_of_tracks(self.run_traced(folder, program), "childs_work")

    def test_a_child_that_saves_for_its_parent_has_the_tracks(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Tree("a") as tree:
            path = Path(folder, "trace.json")
            plugin = Plugin(sysfs_root=tree.root)
            tracer = VizTracer(output_file=str(path), verbose=0, plugins=[plugin])
            tracer.start()
            rest(plugin.sampler)
            tracer.stop()
            saving = tracer.fork_save(str(path))
            saving.join()
            self.assertEqual(saving.exitcode, 0)
            found = json.loads(path.read_text())["traceEvents"]
            self.assertEqual({e["name"] for e in found if e["ph"] == "C"}, {"a Tx", "a Rx"})
            tracer.terminate()

    def test_a_subprocess_does_not_sample_what_its_parent_samples(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            child = Path(folder, "child.py")
            child.write_text("import time\ndef childs_work(): time.sleep(0.05)\nchilds_work()\n")
            program = (
                "import subprocess, sys, time\n"
                "def parents_work(): time.sleep(0.05)\n"
                f"parents_work(); subprocess.run([sys.executable, {str(child)!r}], check=True)\n"
            )
            self.assert_one_set_of_tracks(self.run_traced(folder, program), "childs_work")

    def test_the_plugin_on_the_command_line(self) -> None:
        with tempfile.TemporaryDirectory() as folder, Tree("a", "b") as tree:
            path, program = Path(folder, "trace.json"), Path(folder, "program.py")
            program.write_text("import time\ntime.sleep(0.05)\n")
            command = [sys.executable, "-m", "viztracer", "--quiet", "-o", str(path)]
            command += ["--plugins", "railtop.viztracer --interval 0.01 --devices b", "--", str(program)]
            environment = {**os.environ, "RAILTOP_SYSFS_ROOT": str(tree.root)}
            subprocess.run(command, env=environment, check=True, capture_output=True)
            events = json.loads(path.read_text())["traceEvents"]
            names = {e["name"] for e in events if e["ph"] == "C"}
            self.assertEqual(names, {"b Tx", "b Rx"})


if __name__ == "__main__":
    unittest.main()
