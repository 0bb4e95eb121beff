#!/usr/bin/env bash
# Prints the path of a libfabric 2.5, fetching it on first use.
#
# Debian and Ubuntu have a 1.x, machines with EFA a 2.x, and the two differ where it matters to us (docs/transport.md).
# The Python package mpich carries a 2.5 that runs on any Linux since glibc 2.28; only that one file is used, by the tests.
# When it cannot be had: one line on stderr that says why, exit 1.
set -euo pipefail

version=5.0.2
exec "$(dirname "${BASH_SOURCE[0]}")/fetch-wheel.sh" mpich $version \
    8fed465ebff269ea2ebac179a25de02671ddf8df476e0f115be089015015cfd4 \
    mpich-$version.data/data/lib/mpich/libfabric.so.1
