#!/usr/bin/env bash
# Builds and installs librailtop for programs in C: header, shared and static library, pkg-config file.
#
#   scripts/install-librailtop.sh [PREFIX]      /usr/local unless given; DESTDIR is put before it, as packagers want
#
# RAILTOP_BUILT=DIR takes the libraries in there instead of building them.
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
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -z "${RAILTOP_BUILT:-}" ]; then
    "${CARGO:-cargo}" build --release --locked --package librailtop
    RAILTOP_BUILT=${CARGO_TARGET_DIR:-target}/release
fi
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
abi=$(sed -n 's/^#define RAILTOP_ABI_MAJOR //p' librailtop/include/railtop.h)

to=${DESTDIR:-}$prefix
install -d "$to/include" "$to/lib/pkgconfig"
install -m 644 librailtop/include/railtop.h "$to/include/railtop.h"
install -m 644 "$RAILTOP_BUILT/librailtop_c.a" "$to/lib/librailtop.a"
install -m 755 "$RAILTOP_BUILT/librailtop_c.so" "$to/lib/librailtop.so.$abi"
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
Libs.private: -ldl -lm -lpthread
EOF
