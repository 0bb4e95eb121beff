#!/usr/bin/env bash
# What needs a GPU: kernels post over libfabric, verified, and the rates of ring and proxy.
#
#   tests/gpu/run.sh RAILTOP BENCH      the program, and the benchmark `transport` (cargo bench --no-run)
#
# Needs CUDA's driver and NVRTC (LD_LIBRARY_PATH), and libfabric. PEs that share a GPU take turns of some milliseconds on
# it unless NVIDIA's MPS runs; this starts one of its own where it is installed, and ends it.
set -euo pipefail

railtop=$1 bench=$2
failed=0

if command -v nvidia-cuda-mps-control >/dev/null; then
    dir=$(mktemp -d)
    export CUDA_MPS_PIPE_DIRECTORY=$dir/pipe CUDA_MPS_LOG_DIRECTORY=$dir/log
    mkdir "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d
    trap 'echo quit | nvidia-cuda-mps-control; rm -rf "$dir"' EXIT
fi

# One job over loopback addresses; its exit status counts.
job() {
    local nodes=$1 pes=$2
    shift 2
    echo "== $nodes nodes of $pes PEs: railtop bench $*"
    timeout 120 "$railtop" lab --loopback --nodes "$nodes" --pes-per-node "$pes" --nics-per-pe 4 -- \
        "$railtop" bench "$@" --initiator gpu || failed=$((failed + 1))
}

"$bench" gpu
for scope in block warp thread; do
    job 2 1 put -s "$scope" -b 64K -e 16M -f 4 --verify
done
job 2 1 put --bidir -b 64K -e 16M -f 4 --verify
for policy in single round-robin round-robin-offset pair-seq; do
    job 2 2 alltoall --policy "$policy" -b 16 -e 16M -f 16 --verify
done
job 2 1 alltoall -b 16 -e 4M -f 8 -n 100
job 2 2 alltoall -b 16 -e 4M -f 8 -n 100

echo "$failed failed"
exit $((failed > 0))
