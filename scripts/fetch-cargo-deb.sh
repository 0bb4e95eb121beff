#!/usr/bin/env bash
# Prints the path of cargo-deb, building it on first use: half a minute without optimisation, and xz compresses apart.
# When it cannot be had: one line on stderr that says why, exit 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=3.8.0
dir=$PWD/.cache/cargo-deb-$version
if [ ! -x "$dir/bin/cargo-deb" ]; then
    mkdir -p .cache
    # One at a time; who comes second finds it.
    exec 9>.cache/cargo-deb.lock
    flock 9
fi
if [ ! -x "$dir/bin/cargo-deb" ]; then
    work=$(mktemp -d .cache/fetch.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    # --locked: with the versions of everything that cargo-deb was published with, by hash.
    if ! CARGO_PROFILE_DEV_DEBUG=0 timeout 1800 "${CARGO:-cargo}" install --quiet --locked --debug --no-default-features \
        --root "$work/installed" --target-dir "$work/target" "cargo-deb@$version" >"$work/log" 2>&1 </dev/null 9>&-; then
        echo "cargo-deb $version cannot be installed: $(grep -m 1 '^error' "$work/log" || tail -n 1 "$work/log")" >&2
        exit 1
    fi
    # Complete before it has its name, so that an interrupted run leaves nothing that looks whole.
    rm -rf "$dir"
    mv "$work/installed" "$dir"
fi
echo "$dir/bin/cargo-deb"
