#!/usr/bin/env bash
# Builds the program for release and packs it with its man pages, completions, unit and licences: target/dist/railtop-VERSION-TARGET.tar.gz
#
#   scripts/dist.sh [TARGET]      x86_64-unknown-linux-musl: statically linked (the default: this machine's own kind)
#
# For a musl target: `rustup target add TARGET`, and Debian's musl-tools. Prints the archive's name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo=${CARGO:-cargo}
target=${1:-$("$cargo" -vV | sed -n 's/^host: //p')}
"$cargo" build --release --locked --bin railtop --target "$target" >&2
built=${CARGO_TARGET_DIR:-target}/$target/release
program=$built/railtop

# A static program has no interpreter that would load libraries.
if [[ $target == *-musl ]] && readelf --program-headers "$program" | grep -q INTERP; then
    echo "$0: $program is not statically linked" >&2
    exit 1
fi
version=$("$program" --version)
name=railtop-${version#railtop }-$target
dist=target/dist
rm -rf "${dist:?}/$name"
mkdir -p "$dist/$name/systemd"
CARGO=$cargo scripts/stage.sh "$program" "$dist/$name" "$target"
# Programs that are hooked are linked to glibc, and a static one could not load it.
if [[ $target != *-musl ]]; then
    "$cargo" build --release --locked -p railtop-hook --target "$target" >&2
    strip --strip-unneeded -o "$dist/$name/librailtop_hook-fi.so" "$built/librailtop_hook.so"
fi
cp README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$dist/$name"
cp deploy/systemd/railtop-exporter.service "$dist/$name/systemd"

# The same commit gives the same archive.
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
tar --create --directory "$dist" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" "$name" |
    gzip --no-name --best >"$dist/$name.tar.gz"
rm -rf "${dist:?}/$name"
echo "$dist/$name.tar.gz"
