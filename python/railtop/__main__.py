"""railtop-trace, also as `python -m railtop`: counter tracks into a trace that is there already."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Optional

from .trace import merge


def _printable(text: str) -> str:
    """A name of a file may hold anything, escape sequences for terminals among it."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Returns the exit code: 0 fine, 1 failed; 2, for usage, is argparse's."""
    parser = argparse.ArgumentParser(prog="railtop-trace", description=__doc__)
    parser.add_argument("trace", help="JSON of VizTracer or of PyTorch's profiler, packed (.gz) or not")
    parser.add_argument("counters", help="what railtop.Sampler.write wrote meanwhile")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to; without it TRACE is replaced")
    parser.add_argument("--clock", choices=("monotonic", "realtime"), help="TRACE's clock, where nothing in it says that")
    found = parser.parse_args(arguments)
    try:
        merge(found.trace, found.counters, found.output, clock=found.clock)
    except (OSError, ValueError) as error:
        print(f"railtop-trace: {_printable(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
