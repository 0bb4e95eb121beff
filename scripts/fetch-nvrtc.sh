#!/usr/bin/env bash
# Prints the path of NVRTC 13, CUDA's compiler for kernels, fetching it on first use: to compile kernels where no CUDA is.
# When it cannot be had: one line on stderr that says why, exit 1.
set -euo pipefail

exec "$(dirname "${BASH_SOURCE[0]}")/fetch-wheel.sh" nvidia-cuda-nvrtc 13.5.37 \
    86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc \
    nvidia/cu13/lib/libnvrtc.so.13
