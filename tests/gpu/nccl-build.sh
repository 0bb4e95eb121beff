#!/usr/bin/env bash
# Builds aws-ofi-nccl, NCCL's network plugin over libfabric, so that nccl.sh and nccl-plugin.sh can use it. Needs no GPU and no nvcc.
#
#   tests/gpu/nccl-build.sh SOURCE CUDA OUT    SOURCE: aws-ofi-nccl's source, as tagged (seen: v1.19.2)
#                                              CUDA: a folder with include/cuda_runtime.h and lib or lib64 with libcudart.so*,
#                                              such as nvidia/cu13 of the Python wheels nvidia-cuda-runtime and nvidia-cuda-crt
#                                              OUT: gets libnccl-net-ofi.so, and what it is linked with beside the C and C++ libraries
#
# Needs autoconf, automake, libtool, a C++20 compiler, and the headers of libfabric and hwloc (libfabric-dev, libhwloc-dev).
set -euo pipefail

if [[ $# != 3 ]]; then
    echo "usage: $0 SOURCE CUDA OUT" >&2
    exit 2
fi
source=$(realpath "$1") cuda=$(realpath "$2") out=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# As configure wants it. The wheels have lib, and no name without a number.
mkdir "$work/cuda" "$work/cuda/lib64"
ln -s "$cuda/include" "$work/cuda/include"
for library in "$cuda"/lib{64,}/libcudart.so*; do
    [[ -e $library ]] && ln -sf "$library" "$work/cuda/lib64/libcudart.so"
done

cp -r "$source" "$work/source"
cd "$work/source"
# A tree without .git has no version otherwise.
[[ -e .git || -e .release_version ]] || sed -nE 's/^# v([0-9.]+) .*/\1/p' RELEASENOTES.md | head -n 1 >.release_version
{
    ./autogen.sh
    # The runtime is opened by its name, so that one plugin runs with a GPU and without (nccl-cudart.c).
    ./configure --prefix="$work/installed" --with-cuda="$work/cuda" --enable-cudart-dynamic --disable-tests --with-mpi=no
    make -j "$(nproc)" install
} >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    exit 1
}
cd - >/dev/null

mkdir -p "$out"
plugin=$out/libnccl-net-ofi.so
install -s "$work/installed/lib/libnccl-net-ofi.so" "$plugin"
ldd "$plugin" | awk '$2 == "=>" { print $1, $3 }' | while read -r name file; do
    case $name in
        ld-linux* | libc.so* | libm.so* | libdl.so* | librt.so* | libpthread.so* | libstdc++.so* | libgcc_s.so*) ;;
        *) install -m 644 "$(realpath "$file")" "$out/$name" ;;
    esac
done
nm -D --defined-only "$plugin" | awk '$3 ~ /^ncclNetPlugin_v/ { print $3 }' | xargs echo "$plugin:"
du -sh "$out"
