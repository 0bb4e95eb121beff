#!/usr/bin/env bash
# Makes a Debian package, and prints where it is.
#
#   scripts/package.sh [--program FILE --hook FILE] [--fast] [OUT]      OUT: a directory (default: target/debian)
#
# Without --program the program and the library of `railtop run` are built first, for release. The package says which libraries the program is linked to, so it is
# for systems at least as new as this one. --fast compresses less.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program='' hook='' out=target/debian fast=()
while [ $# -gt 0 ]; do
    case $1 in
        --program)
            program=${2:?--program needs a file}
            shift
            ;;
        --hook)
            hook=${2:?--hook needs a file}
            shift
            ;;
        --fast) fast=(--fast) ;;
        -*)
            echo "usage: $0 [--program FILE --hook FILE] [--fast] [OUT]" >&2
            exit 2
            ;;
        *) out=$1 ;;
    esac
    shift
done
cargo=${CARGO:-cargo}
for tool in dpkg-shlibdeps xz strip python3; do
    if ! command -v $tool >/dev/null; then
        echo "$0: no $tool: apt-get install dpkg-dev python3" >&2
        exit 1
    fi
done
cargo_deb=$(scripts/fetch-cargo-deb.sh)
if [ -z "$program" ]; then
    "$cargo" build --release --locked -p railtop -p railtop-hook >&2
    program=${CARGO_TARGET_DIR:-target}/release/railtop
    hook=${CARGO_TARGET_DIR:-target}/release/librailtop_hook.so
fi
if [ ! -f "$hook" ]; then
    echo "$0: no library of railtop run: --hook FILE names what was built beside $program" >&2
    exit 2
fi

# What goes in, where [package.metadata.deb] in Cargo.toml looks for it.
stage=target/debian/stage
mkdir -p target/debian "$out"
exec 9>target/debian/lock
flock 9
rm -rf $stage
CARGO=$cargo scripts/stage.sh "$program" $stage
strip --strip-unneeded -o $stage/librailtop_hook-fi.so "$hook"
mkdir $stage/systemd
cp deploy/debian/postrm $stage/systemd/

# A package's programs are not in /usr/local. cargo-deb knows the unit by this name.
unit=$stage/systemd/railtop.railtop-exporter.service
sed -e 's|^ExecStart=/usr/local/bin/|ExecStart=/usr/bin/|' -e '/install -m 644/d' deploy/systemd/railtop-exporter.service >$unit
if ! grep -q '^ExecStart=/usr/bin/railtop ' $unit || grep -q /usr/local $unit; then
    echo "$0: deploy/systemd/railtop-exporter.service starts something else than /usr/local/bin/railtop" >&2
    exit 1
fi

# The same commit gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
version=$($stage/railtop --version)
version=${version#railtop }
maintainer=$(sed -nE '/^\[package\.metadata\.deb\]/,/^\[lib\]/s/^maintainer = "(.*)"$/\1/p' Cargo.toml)
cat >$stage/changelog <<END
railtop ($version-1) unstable; urgency=medium

  * What is new is told in /usr/share/doc/railtop/changelog.gz.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END

"$cargo_deb" --no-build --locked --compress-system "${fast[@]}" --output "$out" >$stage/path
cat $stage/path
