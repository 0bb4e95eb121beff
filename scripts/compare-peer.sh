#!/usr/bin/env bash
# railtop and rdmatop on the same devices in one run: what a tick, a second and a screen cost. Prints tables.
#
#   scripts/compare-peer.sh [costs|memory]      one of the two; without it, both
#
# The devices are 32 of the EFA kind without hardware, in the VM of tests/vm, since rdmatop reads the kernel's netlink
# and nothing else. Under emulation seconds of CPU compare the two and say nothing about a real machine; counts do.
# Not part of CI: it takes up to a quarter of an hour, installs rdmatop from crates.io into the cache, and its times are noisy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

part=${1:-all}
case $part in
    all | costs | memory) ;;
    *)
        sed -nE '2,/^[^#]/s/^# ?//p' "$0" >&2
        exit 2
        ;;
esac
version=0.1.33
cache=${XDG_CACHE_HOME:-$HOME/.cache}/railtop-peer
peer=${RDMATOP:-$cache/bin/rdmatop}
cargo=${CARGO:-cargo}

scripts/install-deps.sh test
if [ ! -x "$peer" ]; then
    "$cargo" install rdmatop --version "$version" --locked --root "$cache" >&2
fi
"$cargo" build --release --locked >&2
railtop=${CARGO_TARGET_DIR:-$PWD/target}/release/railtop

tests/vm/run.sh -t 800 bash "$PWD/scripts/compare-peer-guest.sh" "$railtop" "$peer" "$PWD/tests/vm" "$part"
