#!/usr/bin/env bash
# Builds a libfabric whose provider `shm` takes GPUs' memory (FI_HMEM), so that `run.sh … hmem` can use it. Distributions build
# theirs without CUDA; EFA's installer brings one with it. Needs no GPU and no nvcc.
#
#   tests/gpu/libfabric-build.sh SOURCE CUDA OUT      SOURCE: libfabric's source, as tagged (seen: v2.5.1)
#                                                     CUDA: a folder with include/cuda_runtime.h, nvml.h beside it, such as
#                                                     nvidia/cu13 of the Python wheels nvidia-cuda-runtime and nvidia-cuda-crt, with
#                                                     the header of nvidia-nvml-dev-cu12 copied there
#                                                     OUT: gets libfabric.so.1
#
# Needs autoconf, automake, libtool and a C compiler. CUDA's own libraries are opened at run time.
set -euo pipefail

if [[ $# != 3 ]]; then
    echo "usage: $0 SOURCE CUDA OUT" >&2
    exit 2
fi
source=$(realpath "$1") cuda=$(realpath "$2") out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -r "$source" "$work/source"
cd "$work/source"
{
    ./autogen.sh
    ./configure --prefix="$work/installed" --with-cuda="$cuda" --enable-cuda-dlopen --disable-static \
        --enable-only --enable-shm=yes --enable-tcp=yes --enable-rxm=yes
    make -j "$(nproc)" install
} >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    exit 1
}
cd - >/dev/null

mkdir -p "$out"
install -s "$work/installed/lib/libfabric.so.1" "$out/libfabric.so.1"
du -sh "$out"
