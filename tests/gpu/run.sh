#!/usr/bin/env bash
# What needs a GPU: kernels that store and post, verified, under compute-sanitizer, and the rates of ring and proxy.
#
#   tests/gpu/run.sh RAILTOP BENCH TESTS [PART…]      the program, the benchmark `transport` and the tests `on_gpu`
#                                                     (cargo bench --no-run, cargo test --no-run)
#
# Parts, all of them without any: tests sanitizer ring nics node hmem moe refusals ending lab
#
# Ends with a table of the goals that the parts have to do with, and with 1 when one is missed or something has failed. Those
# beside NVSHMEM are in nvshmem.sh.
#
# Needs CUDA's driver and NVRTC (LD_LIBRARY_PATH), and libfabric; `hmem` one that takes GPUs' memory, named in RAILTOP_GPU_LIBFABRIC
# (libfabric-build.sh makes one). PEs that share a GPU take turns of some milliseconds on
# it unless NVIDIA's MPS runs; this starts one of its own where it is installed, and ends it.
set -euo pipefail

railtop=$1 bench=$2 tests=$3
shift 3
parts=" ${*:-tests sanitizer ring nics node hmem moe refusals ending lab} "
failed=0

# shellcheck source=tests/gpu/goals.sh
source "$(dirname "${BASH_SOURCE[0]}")/goals.sh"
work=$(mktemp -d)
mps_runs=
finish() {
    [[ -z $mps_runs ]] || echo quit | nvidia-cuda-mps-control
    rm -rf "$work" "$goals"
}
trap finish EXIT

wanted() { [[ $parts == *" $1 "* ]]; }

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# Runs a command, bounded; its exit status counts.
try() {
    echo "== $*"
    timeout 240 "$@" || fail "exit $?: $*"
}

# One job over loopback addresses, its PEs started with the words of `under` in front.
under=()
job() {
    local nodes=$1 pes=$2
    shift 2
    try "$railtop" lab --loopback --nodes "$nodes" --pes-per-node "$pes" --nics-per-pe 4 -- \
        "${under[@]}" "$railtop" bench "$@" --initiator gpu
}

# A job that must end with an exit status and a text on stderr.
refused() {
    local status=$1 text=$2 got=0 error
    shift 2
    echo "== must be refused: bench $*"
    error=$(timeout 60 "$railtop" lab --loopback --nodes 2 --pes-per-node 1 --nics-per-pe 1 -- \
        "$railtop" bench "$@" --initiator gpu 2>&1 >/dev/null) || got=$?
    [[ $got == "$status" && $error == *"$text"* ]] || fail "exit $got instead of $status, or no \"$text\" in: $error"
}

# Every kernel, with little data: checked accesses take long. Without MPS, which the tool does not know.
sanitizer() {
    if ! command -v compute-sanitizer >/dev/null; then
        echo "skipped: no compute-sanitizer here"
        return
    fi
    local tool
    for tool in memcheck racecheck; do
        under=(compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5)
        RAILTOP_TEST_LESS=1 try "${under[@]}" "$tests" --test-threads 1
        job 1 2 put -b 64K -e 64K -n 2 -w 1 -c 4 --verify
        job 1 2 alltoall -b 64K -e 64K -n 3 -w 1 -c 4 --verify --bits 32
        job 1 2 alltoall -b 16K -e 16K -n 3 -w 1 -c 2 --verify --heap host -s block
        job 2 1 alltoall -b 16K -e 16K -n 3 -w 1 -c 2 --verify -s block
        job 1 2 moe --config e64 --tokens 2 -n 2 -w 1 -c 2 --verify
        job 2 1 moe --config e64 --tokens 2 -n 2 -w 1 -c 2 --verify
        if [[ -n ${RAILTOP_GPU_LIBFABRIC:-} ]]; then
            local both=(--provider shm --nics "shm,shm" --heap device --verify)
            RAILTOP_LIBFABRIC=$RAILTOP_GPU_LIBFABRIC job 2 2 alltoall -b 64K -e 64K -n 3 -w 1 -c 2 -s block --bits 32 "${both[@]}"
            RAILTOP_LIBFABRIC=$RAILTOP_GPU_LIBFABRIC job 2 1 moe --config e64 --tokens 2 -n 2 -w 1 -c 2 "${both[@]}"
        fi
    done
    under=()
}

# One of two PEs is killed while their kernels go round and round: the other ends, and says why.
ending() {
    local heap=$1 port=$2 rank error status=0 pids=()
    echo "== PE 1 is killed, heap $heap"
    error=$(mktemp)
    RAILTOP_JOB_SECRET=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
    export RAILTOP_JOB_SECRET
    for rank in 0 1; do
        RAILTOP_NODE=here LOCAL_RANK=$rank timeout -k 1 60 "$railtop" bench alltoall --rank $rank --world-size 2 \
            --master-addr 127.0.0.1 --master-port "$port" --nics 127.0.0.$((rank + 2)) --initiator gpu --heap "$heap" \
            -s block -b 64K -e 64K -n 100000000 -w 1 >/dev/null 2>"$error.$rank" &
        pids+=($!)
    done
    sleep 8
    # timeout passes a KILL on to nobody: its child it is.
    kill -KILL "$(ps -o pid= --ppid "${pids[1]}" | tr -d ' ')" || fail "PE 1 had ended: $(cat "$error.1")"
    wait "${pids[0]}" || status=$?
    wait "${pids[1]}" || true
    if [[ $status != 1 ]] || ! grep -q "PE 1 left the job" "$error.0"; then
        fail "exit $status: $(cat "$error.0")"
    fi
    rm -f "$error" "$error".?
}

mps() {
    command -v nvidia-cuda-mps-control >/dev/null || return 0
    export CUDA_MPS_PIPE_DIRECTORY=$work/pipe CUDA_MPS_LOG_DIRECTORY=$work/log
    mkdir "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d
    mps_runs=yes
}

# Rates of ring and proxy, with as many rings as `bench` takes, and what a kernel's put-signal costs more than the host's.
ring() {
    try "$bench" gpu | tee "$work/ring"
    # `try` counts in a process of its own here.
    ! grep -q "^FAILED" "$work/ring" || failed=$((failed + 1))
    local name="GPU, 8 B put-signal,"
    goal "put-signals to a NIC that completes at once, 32 blocks" \
        "$(figure "$work/ring" "$name 32 blocks of 256, rings: 4")" M/s ">= 10"
    goal "the same, 1 block" "$(figure "$work/ring" "$name 1 blocks of 256, rings: 4")" M/s ">= 2"
    goal "8 B one way from a kernel, more than from the host" "$(figure "$work/ring" "more than from the host")" us "<= 3"
    goal "the same with a ring of its own and no fence" "$(figure "$work/ring" "more than from the host, own ring")" us "<= 3"
}

# GB/s of a kernel's puts over four NICs of 1 Gbit/s: POLICY.
over_nics() {
    timeout 120 "$railtop" lab --nodes 2 --pes-per-node 1 --nics-per-pe 4 --nic-rate 1gbit -- \
        "$railtop" bench put --initiator gpu --policy "$1" -b 4M -e 4M --format json |
        sed -nE '/"type":"row"/s/.*"bw_gb_per_s":([0-9.e+-]+).*/\1/p'
}
lab() {
    local one all
    one=$(over_nics single) || one=
    all=$(over_nics pair-seq) || all=
    goal "put over 4 NICs of 1 Gbit/s against one" "$(awk -v one="$one" -v all="$all" 'BEGIN { if (one > 0) printf "%.2f", all / one }')" \
        x ">= 3.8"
}

# Every size that issues ask for, over NICs, with every byte checked.
verified() {
    local before=$failed
    for policy in single round-robin round-robin-offset pair-seq stripe least-loaded; do
        # Split over 32 blocks less than 256 bytes move nothing: those are put by one.
        job 2 1 put --policy "$policy" -b 16 -e 4K -f 16 -c 1 -n 2 -w 1 --verify
        job 2 1 put --policy "$policy" -b 64K -e 256M -f 16 -n 2 -w 1 --verify
        job 2 2 alltoall --policy "$policy" -b 16 -e 256M -f 16 -n 2 -w 1 -s block --bits 32 --verify
    done
    goal "jobs with a wrong byte or an error, 16 B to 256 MiB" $((failed - before)) "of 18" "<= 0"
}

# PEs of several nodes with their heaps in the GPUs' memory, which "NICs" reach: provider shm, which copies with the CPU what EFA's NICs
# fetch by themselves. The transport is the same, and so are registrations, descriptors and keys.
hmem() {
    if [[ -z ${RAILTOP_GPU_LIBFABRIC:-} ]]; then
        echo "skipped: no libfabric that takes GPUs' memory (RAILTOP_GPU_LIBFABRIC)"
        return
    fi
    local before=$failed jobs=0 policy
    export RAILTOP_LIBFABRIC=$RAILTOP_GPU_LIBFABRIC
    on_device() {
        jobs=$((jobs + 1))
        job "$@" --provider shm --nics shm,shm,shm,shm --heap device --verify
    }
    for policy in single round-robin round-robin-offset pair-seq stripe least-loaded; do
        on_device 2 1 put --policy "$policy" -b 16 -e 4K -f 16 -c 1 -n 2 -w 1
        on_device 2 1 put --policy "$policy" -b 64K -e 64M -f 16 -n 2 -w 1
        # Half of the PEs are on this node, and are stored to.
        on_device 2 2 alltoall --policy "$policy" -b 16 -e 64M -f 16 -n 2 -w 1 -s block --bits 32
    done
    on_device 1 2 alltoall -b 16 -e 16M -f 16 -n 5 -w 1 -s block --bits 32 --intra-node nic
    on_device 2 2 alltoall -b 64K -e 64K -c 8 -n 500 -s block --bits 32
    on_device 2 1 moe --tokens 1,16,128 -n 3 -w 1
    on_device 2 2 moe --tokens 4,64 -n 3 -w 1 -c 4
    unset RAILTOP_LIBFABRIC
    goal "jobs in GPUs' memory over NICs with a wrong byte or an error" $((failed - before)) "of $jobs" "<= 0"
}

nvidia-smi -L 2>/dev/null || echo "no nvidia-smi"
if wanted tests; then
    try "$tests" --test-threads 1
fi
if wanted sanitizer; then
    sanitizer
fi
# Without MPS: who is killed among its clients in mid-kernel takes its server along.
if wanted ending; then
    ending device 29617
    ending host 29618
fi
mps
if wanted ring; then
    ring
fi
if wanted nics; then
    for scope in block warp thread; do
        job 2 1 put -s "$scope" -b 64K -e 16M -f 4 --verify
    done
    job 2 1 put --bidir -b 64K -e 16M -f 4 --verify
    verified
    job 2 2 alltoall -b 16 -e 16M -f 16 -c 8 --verify
    job 2 2 alltoall -b 64K -e 64K -c 8 -n 1000 --verify -s block --bits 32
    job 1 2 alltoall -b 16 -e 16M -f 16 --verify --intra-node nic -s block
    job 2 1 alltoall -b 16 -e 4M -f 8 -n 100 -s block --bits 32
    job 2 2 alltoall -b 16 -e 4M -f 8 -n 100 -s block --bits 32
fi
if wanted node; then
    for heap in device host; do
        for scope in block warp thread; do
            job 1 2 put -s "$scope" -b 64K -e 64M -f 4 --verify --heap "$heap"
        done
        job 1 2 put --bidir -b 64K -e 64M -f 4 --verify --heap "$heap"
        for ctas in 1 3 32; do
            job 1 2 alltoall -b 16 -e 64M -f 4 -c "$ctas" --verify --heap "$heap"
        done
        # More PEs than most machines have GPUs, and blocks whose ends are not aligned alike.
        job 1 3 alltoall -b 16 -e 3M -f 3 -c 4 --verify --heap "$heap" -s block
        job 1 4 alltoall -b 16 -e 16M -f 16 -c 8 --verify --heap "$heap" -s block
    done
    # Many rounds, in which blocks of threads overtake each other.
    job 1 2 alltoall -b 16K -e 1M -f 4 -n 5000 -c 32 --verify --heap device -s block --bits 32
    job 1 2 alltoall -b 16K -e 1M -f 4 -n 500 -c 32 --verify --heap host -s block --bits 32
    job 1 2 put -b 64K -e 64M -f 4 -n 200 -w 20
    job 1 2 alltoall -b 16 -e 64M -f 4 -n 200 -c 32 -s block --bits 32
fi
if wanted hmem; then
    hmem
fi
if wanted moe; then
    for skew in uniform zipf:1.2; do
        job 1 2 moe --tokens 1,16,128 --skew "$skew" -n 5 -w 2 --verify --heap device
        job 1 2 moe --tokens 1,16,128 --skew "$skew" -n 5 -w 2 --verify --heap host
        job 2 1 moe --tokens 1,16,128 --skew "$skew" -n 5 -w 2 --verify
    done
    # More PEs than most machines have GPUs, half of them behind NICs; small grids and large ones.
    job 2 2 moe --tokens 4,64 -n 5 -w 2 -c 4 --verify
    job 2 2 moe --tokens 4,64 -n 5 -w 2 -c 1 -t 32 --verify
    job 1 2 moe --tokens 1,8,32,128 -n 50 -w 10 --heap device
    job 1 2 moe --tokens 1,8,32,128 -n 50 -w 10 --heap host --no-alltoall
    # The host's and the GPU's, in turn, over NICs.
    for round in 1 2 3; do
        echo "round $round"
        for initiator in host gpu; do
            try "$railtop" lab --loopback --nodes 2 --pes-per-node 1 --nics-per-pe 4 -- \
                "$railtop" bench moe --tokens 1,8,32,128 -n 30 -w 5 --no-alltoall --initiator "$initiator"
        done
    done
fi
if wanted refusals; then
    refused 3 "--heap host" alltoall --heap device
    refused 3 "--heap host" put --heap device --intra-node nic
    refused 2 "a kernel puts each row by itself" moe --batch auto
    refused 2 "use a smaller -c" moe --tokens 1 -c 60000
    refused 2 "use a smaller -c" alltoall -b 64M -e 64M -c 60000 -s block --bits 32
fi

if wanted lab; then
    lab
fi

met=yes
verdicts || met=
echo "$failed failed"
[[ $failed == 0 && $met ]]
