#!/usr/bin/env bash
# Prints the path of a libfabric 2.5, fetching it on first use.
#
# Debian and Ubuntu have a 1.x, machines with EFA a 2.x, and the two differ where it matters to us (docs/transport.md).
# The Python package mpich carries a 2.5 that runs on any Linux since glibc 2.28; only that one file is used, by the tests.
# When it cannot be had: one line on stderr that says why, exit 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=5.0.2
sha256=8fed465ebff269ea2ebac179a25de02671ddf8df476e0f115be089015015cfd4 # x86_64, manylinux_2_28

fail() {
    echo "$*" >&2
    exit 1
}

dir=$PWD/.cache/libfabric-2.5-mpich-$version
library=$dir/mpich-$version.data/data/lib/mpich/libfabric.so.1
if [ -e "$library" ]; then
    echo "$library"
    exit 0
fi

[ "$(uname -m)" = x86_64 ] || fail "only fetched for x86_64"
python3 -m pip --version >/dev/null 2>&1 || fail "needs python3 with pip (package python3-pip)"

mkdir -p .cache
work=$(mktemp -d .cache/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
# Nothing but the file with this very hash is accepted.
echo "mpich==$version --hash=sha256:$sha256" >"$work/requirements.txt"
timeout 180 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r "$work/requirements.txt" -d "$work" >"$work/log" 2>&1 </dev/null ||
    fail "the download of mpich $version failed: $(grep -m 1 '^ERROR' "$work/log" || tail -n 1 "$work/log")"
python3 -m zipfile -e "$work"/mpich-*.whl "$work/unpacked" || fail "the wheel of mpich $version cannot be unpacked"
# Complete before it has its name, so that an interrupted run leaves nothing that looks whole.
rm -rf "$dir"
mv "$work/unpacked" "$dir"
[ -e "$library" ] || fail "no libfabric.so.1 in the wheel of mpich $version"
echo "$library"
