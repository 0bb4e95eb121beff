"""The sampler on trees that the tests drive."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import os
import signal
import threading
import time
import unittest
import warnings
from pathlib import Path

import railtop

from .tree import Tree, until

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "sys"


def ours() -> int:
    """How many threads of this process are samplers."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        # One of another test may end between the list and the look.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append(Path(task, "comm").read_text())
    return names.count("railtop\n")


class Values(unittest.TestCase):
    def test_a_tree_has_its_exact_values(self) -> None:
        # A device whose reader has no turn within half a second is stale: then there is another try.
        for _ in range(20):
            with railtop.Sampler(0.01, sysfs_root=FIXTURES / "mlx5-roce") as nics:
                self.assertTrue(nics.wait(3))
            if not any("stale" in sample.marks for sample in nics.samples()):
                break
        names = [(nic.device, nic.driver, nic.pci, nic.link_bits_per_s) for nic in nics.nics]
        self.assertEqual(names[0], ("mlx5_0", "mlx5_core", "0000:18:00.0", 400e9))
        self.assertEqual([nic[0] for nic in names], ["mlx5_0", "mlx5_2", "mlx5_10"])
        first, last = nics.samples()[0], nics.samples()[-3]
        self.assertEqual((first.tx_bytes, first.rx_bytes), (8_000_000_000, 4_000_000_000))
        self.assertEqual((first.tx_bytes_per_s, first.dt_ns, first.marks), (None, None, ("new",)))
        self.assertEqual((last.nic, last.tx_bytes, last.tx_bytes_per_s, last.marks), (0, 8_000_000_000, 0.0, ()))
        self.assertEqual([group.kind for group in nics.groups], ["numa", "numa"])
        self.assertIsNone(nics.balances()[-1].tx_max_over_mean, "nothing moves")

    def test_a_rate_is_what_was_moved_over_the_measured_time(self) -> None:
        with Tree("a", "b") as tree, railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
            until(nics, lambda samples: {s.nic for s in samples if s.tx_bytes == 0} == {0, 1})
            tree.set("a", 3_000_000, 500)
            until(nics, lambda samples: any(s.tx_bytes == 3_000_000 for s in samples))
            nics.stop()
            moved = [s for s in nics.samples() if s.nic == 0 and s.tx_bytes_per_s]
            total = sum((s.tx_bytes_per_s or 0) * (s.dt_ns or 0) / 1e9 for s in moved)
            self.assertAlmostEqual(total, 3_000_000, delta=1)
            # One NIC of two carried it.
            ratios = [b.tx_max_over_mean for b in nics.balances() if b.tx_max_over_mean is not None]
            self.assertEqual(ratios, [2.0] * len(moved))

    def test_a_last_read_covers_the_end(self) -> None:
        with Tree("a") as tree:
            with railtop.Sampler(3600, sysfs_root=tree.root) as nics:
                time.sleep(0.02)
                tree.set("a", 1_000_000, 0)
            self.assertEqual([s.tx_bytes for s in nics.samples()], [0, 1_000_000])

    def test_what_is_missing_is_none_and_a_reset_gives_no_rate(self) -> None:
        with Tree("a") as tree, railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
            tree.set("a", 5_000, 5_000)
            until(nics, lambda samples: any((s.tx_bytes, s.rx_bytes) == (5_000, 5_000) for s in samples))
            tree.set("a", 10, 5_000)
            until(nics, lambda samples: any(s.tx_bytes == 10 for s in samples))
            tree.remove("a", "rx_bytes")
            until(nics, lambda samples: (samples[-1].tx_bytes, samples[-1].rx_bytes) == (10, None))
            nics.stop()
            samples = nics.samples()
            resets = [s for s in samples if "reset" in s.marks]
            self.assertEqual([(s.tx_bytes, s.tx_bytes_per_s, s.dt_ns) for s in resets], [(10, None, None)])
            self.assertIsNone(samples[-1].rx_bytes)
            self.assertIsNone(samples[-1].rx_bytes_per_s)
            self.assertEqual(samples[-1].tx_bytes, 10)

    def test_the_clocks_are_those_of_the_time_module(self) -> None:
        before = time.monotonic_ns(), time.time_ns()
        with Tree("a") as tree, railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
            nics.wait(3)
        after = time.monotonic_ns(), time.time_ns()
        for sample in nics.samples():
            self.assertTrue(before[0] <= sample.mono_ns <= after[0])
            self.assertTrue(before[1] - 1_000_000 <= sample.time_ns <= after[1] + 1_000_000)


class Version(unittest.TestCase):
    def test_there_is_one(self) -> None:
        self.assertEqual(railtop.library_version(), railtop.__version__)


class Choice(unittest.TestCase):
    def test_devices_are_chosen_by_one_pattern_or_several(self) -> None:
        for devices, expected in (
            ("mlx5_2", ["mlx5_2"]),
            ("mlx5_1*", ["mlx5_10"]),
            (["mlx5_0", "mlx5_1?"], ["mlx5_0", "mlx5_10"]),
        ):
            with self.subTest(devices), railtop.Sampler(0.01, devices, sysfs_root=FIXTURES / "mlx5-roce") as nics:
                self.assertEqual([nic.device for nic in nics.nics], expected)

    def test_nothing_to_sample_is_a_warning_that_says_why(self) -> None:
        with self.assertWarnsRegex(RuntimeWarning, "nothing to sample: .*--device"):
            with railtop.Sampler(0.01, "other", sysfs_root=FIXTURES / "mlx5-roce", source="sysfs") as nics:
                self.assertEqual(nics.nics, [])
        self.assertEqual(nics.samples(), [])

    def test_what_makes_no_sense_is_said(self) -> None:
        for interval in (0, -1, math.nan, math.inf, 3601):
            with self.subTest(interval), self.assertRaisesRegex(ValueError, "seconds"):
                railtop.Sampler(interval)
        with self.assertRaisesRegex(ValueError, "capacity"):
            railtop.Sampler(capacity=0)
        with self.assertRaisesRegex(railtop.RailtopError, "10 ms"):
            railtop.Sampler(0.001).start()
        with self.assertRaisesRegex(railtop.RailtopError, "devices: an empty pattern"):
            railtop.Sampler(devices=[]).start()
        with self.assertRaisesRegex(railtop.RailtopError, "none of page, sysfs"):
            railtop.Sampler(source="ethtool").start()
        with self.assertRaisesRegex(RuntimeError, "never started"):
            railtop.Sampler().samples()
        for text, why in (("a\udc80", "UTF-8"), ("a\0b", "NUL")):
            for name in ("devices", "source", "sysfs_root"):
                with self.subTest(name), self.assertRaisesRegex(ValueError, f"{name} .*{why}"):
                    railtop.Sampler(**{name: text})
        with Tree("a") as tree, railtop.Sampler(0.01, sysfs_root=os.fsencode(tree.root)) as nics:
            for wrong in (lambda: nics.wait(1, math.nan), lambda: nics.wait(-1), lambda: nics.trace(base_ns=1 << 63)):
                with self.assertRaisesRegex(ValueError, "seconds|rounds|64 bits"):
                    wrong()

    def test_a_warning_names_the_line_of_the_caller(self) -> None:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            with railtop.Sampler(0.01, "other", sysfs_root=FIXTURES / "mlx5-roce", source="sysfs"):
                pass
            railtop.Sampler(0.01, "other", sysfs_root=FIXTURES / "mlx5-roce", source="sysfs").start().stop()
        self.assertEqual([warning.filename for warning in said], [__file__, __file__])


class Life(unittest.TestCase):
    def assert_threads(self, expected: int) -> None:
        """That so many samplers run. A thread that was joined may be listed by the kernel for a moment more."""
        end = time.monotonic() + 60
        while ours() != expected and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(ours(), expected)

    def test_memory_is_bounded_and_an_overflow_is_said_once(self) -> None:
        with Tree("a", "b") as tree:
            with self.assertWarnsRegex(railtop.Overflow, "older samples were lost"):
                with railtop.Sampler(0.01, sysfs_root=tree.root, capacity=6) as nics:
                    nics.wait(5)
            self.assertEqual((nics.status.samples, len(nics.samples())), (6, 6))
            self.assertEqual(nics.status.lost_samples, nics.status.ticks * 2 - 6)
            self.assertIn("memory is full", nics.notes)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.assertIn("older samples were lost", nics.trace())

    def test_a_warning_that_is_an_error_leaves_nothing_running(self) -> None:
        gc.collect()
        self.assert_threads(0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nics = railtop.Sampler(0.01, "other", sysfs_root=FIXTURES / "mlx5-roce", source="sysfs")
            with self.assertRaises(RuntimeWarning), nics:
                self.fail("it must not get here")
        self.assert_threads(0)

    def test_waiting_ends_in_time_or_with_ctrl_c(self) -> None:
        with Tree("a") as tree, railtop.Sampler(3600, sysfs_root=tree.root) as nics:
            for timeout in (0, -1, -math.inf, 0.01):
                self.assertFalse(nics.wait(2, timeout))
            self.assertTrue(nics.wait(1, math.inf))

            def pressed(*_: object) -> None:
                raise KeyboardInterrupt

            before = signal.signal(signal.SIGALRM, pressed)
            begun = time.monotonic()
            try:
                with self.assertRaises(KeyboardInterrupt):
                    signal.setitimer(signal.ITIMER_REAL, 0.2)
                    nics.wait(2, 60)
            finally:
                signal.signal(signal.SIGALRM, before)
            self.assertLess(time.monotonic() - begun, 50)

    def test_a_sampler_can_be_started_again(self) -> None:
        with Tree("a") as tree:
            nics = railtop.Sampler(0.01, sysfs_root=tree.root)
            for _ in range(3):
                with nics:
                    nics.wait(2)
                self.assertFalse(nics.status.running)
            nics.stop()

    def test_it_samples_while_python_cannot_run(self) -> None:
        # Functions of a PyDLL are called with the interpreter's lock held: no thread of Python's gets anywhere meanwhile.
        asleep = ctypes.PyDLL(None).usleep
        with Tree("a") as tree, railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
            # Once is enough where the sampler's own thread has a turn in that time.
            for _ in range(100):
                begun = time.monotonic_ns()
                asleep(300_000)
                ended = time.monotonic_ns()
                if meanwhile := [s for s in nics.samples() if begun < s.mono_ns < ended]:
                    break
            self.assertTrue(meanwhile)

    def test_a_child_of_fork_is_told_and_can_have_its_own(self) -> None:
        with Tree("a") as tree, railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    nics.samples()
                except railtop.RailtopError as error:
                    with railtop.Sampler(0.01, sysfs_root=tree.root) as own:
                        code = 0 if "child" in str(error) and own.wait(2) else 2
                del nics
                gc.collect()
                os._exit(code)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
            self.assertTrue(nics.wait(nics.status.ticks + 2), "the parent's goes on")

    def test_threads_may_all_ask(self) -> None:
        with Tree("a", "b") as tree, railtop.Sampler(0.01, sysfs_root=tree.root) as nics:
            failures: list[BaseException] = []

            def ask() -> None:
                try:
                    for _ in range(20):
                        nics.samples(), nics.nics, nics.notes, nics.trace()
                except BaseException as error:
                    failures.append(error)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])

    def test_one_thread_may_start_it_again_while_others_ask(self) -> None:
        with Tree("a") as tree, warnings.catch_warnings():
            nics = railtop.Sampler(0.01, sysfs_root=tree.root).start()
            failures: list[BaseException] = []
            done = threading.Event()

            def ask() -> None:
                try:
                    while not done.is_set():
                        nics.samples(), nics.wait(1), nics.trace()
                except BaseException as error:
                    failures.append(error)

            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in range(10):
                nics.start()
            done.set()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])

    def test_it_leaves_no_thread_behind(self) -> None:
        gc.collect()
        self.assert_threads(0)
        with Tree("a") as tree:
            nics = railtop.Sampler(0.01, sysfs_root=tree.root).start()
            self.assert_threads(1)
            del nics
            gc.collect()
            self.assert_threads(0)


if __name__ == "__main__":
    unittest.main()
