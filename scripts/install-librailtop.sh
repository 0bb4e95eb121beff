#!/usr/bin/env bash
# Builds and installs librailtop for programs in C: header, shared library, pkg-config file, licences.
#
#   scripts/install-librailtop.sh [PREFIX]      /usr/local unless given; DESTDIR is put before it, as packagers want
#
# RAILTOP_BUILT=DIR takes the library in there instead of building it.
set -euo pipefail

case ${1:-} in
    -*)
        echo "usage: $0 [PREFIX]" >&2
        exit 2
        ;;
esac
prefix=${1:-/usr/local}
case $prefix in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
esac
# What is named relative to where this was called.
built=${RAILTOP_BUILT:+$(cd "$RAILTOP_BUILT" && pwd)}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -n "$built" ]; then
    library=$built/librailtop_c.so
else
    # Cargo knows where it puts it: CARGO_TARGET_DIR, CARGO_BUILD_TARGET and configuration files have a say in that.
    library=$("${CARGO:-cargo}" build --release --locked --package librailtop --message-format=json-render-diagnostics |
        grep -o '"[^"]*/librailtop_c\.so"' | tail -n 1 | tr -d '"')
fi
notices=$(mktemp)
trap 'rm -f "$notices"' EXIT
scripts/third-party.py >"$notices"

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
abi=$(sed -n 's/^#define RAILTOP_ABI_MAJOR //p' librailtop/include/railtop.h)

to=${DESTDIR:-}$prefix
install -d "$to/include" "$to/lib/pkgconfig" "$to/share/doc/librailtop"
install -m 644 LICENSE-* "$to/share/doc/librailtop/"
install -m 644 "$notices" "$to/share/doc/librailtop/third-party-licenses.txt"
install -m 644 librailtop/include/railtop.h "$to/include/railtop.h"
install -m 755 "$library" "$to/lib/librailtop.so.$abi"
ln -sfn "librailtop.so.$abi" "$to/lib/librailtop.so"
cat >"$to/lib/pkgconfig/railtop.pc" <<EOF
prefix=$prefix
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: railtop
Description: RDMA traffic per NIC, sampled in the background
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lrailtop
EOF
if [ -z "${DESTDIR:-}" ]; then
    echo "installed; where $prefix/lib is one of the loader's directories, it knows of the library after: ldconfig" >&2
fi
