# shellcheck shell=bash
# What the job of this directory runs, and its environment. Sourced by it, after ../slurm/job.sh.
# What each variable does, and who says so: README.md.
# Variables of the job script, and those that job.sh uses:
# shellcheck disable=SC2034,SC2154

GENERATOR=${GENERATOR:-pplx}
# Where the containers are, IMAGES/pplx-VARIANT.sqsh; without containers, PPLX_ROOT/VARIANT is where pplx-kernels' source is.
IMAGES=${IMAGES:-$SLURM_SUBMIT_DIR}
PPLX_ROOT=${PPLX_ROOT:-}
# Samples of each row are averaged over so many repeats; pplx's own is 20.
NUM_REPEAT=${NUM_REPEAT:-256}

case $GENERATOR in
    pplx) VARIANTS=${VARIANTS:-3.6.5 3.6.5-pr76} ;;
    railtop) VARIANTS=${VARIANTS:-single round-robin round-robin-offset pair-seq} ;;
    *) die "GENERATOR=$GENERATOR is neither pplx nor railtop" ;;
esac

pplx_environment() {
    efa_environment
    export NVSHMEM_SYMMETRIC_SIZE=${NVSHMEM_SYMMETRIC_SIZE:-4294967296}
    local first
    # Not `head`: it would close the pipe early, which pipefail takes for an error.
    first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p) || return
    MASTER_ADDR=$(getent hosts "$first" | awk 'NR == 1 { print $1 }') || {
        echo "$0: no address for the first node, $first" >&2
        return 1
    }
    export MASTER_ADDR
    export MASTER_PORT=${MASTER_PORT:-29500}
    export WORLD_SIZE=$((nodes * tasks)) WORLD_LOCAL_SIZE=$tasks
    export NUM_REPEAT
}

# generator VARIANT: what differs between the two. `flags` are the job script's.
generator() {
    if [[ $GENERATOR == railtop ]]; then
        railtop_generator moe "$1" "${flags[@]}"
        return
    fi
    pplx_environment || return
    rows=(awk -v policy="NVSHMEM $1" -v nodes="$nodes" -v pes="$WORLD_SIZE" -v command="bench_all_to_all ${flags[*]}"
        -f "$here/rows.awk")
    # It starts a process per GPU by itself.
    tasks=1
    launch=(--mpi=none)
    local source=/opt/pplx-kernels
    if [[ -n $PPLX_ROOT ]]; then
        source=$PPLX_ROOT/$1
    else
        launch+=(--container-image="$IMAGES/pplx-$1.sqsh" --container-name="pplx-$1")
    fi
    # The number of repeats is written in the file, which is not ours to change for others: a copy is.
    # shellcheck disable=SC2016
    program=(bash -c 'set -e
        work=$(mktemp -d)
        trap "rm -rf $work" EXIT
        cp -r "$0/tests" "$work"
        cd "$work"
        sed -i "s/num_repeat = 20\b/num_repeat = $NUM_REPEAT/" tests/bench_all_to_all.py
        grep -q "num_repeat = $NUM_REPEAT\b" tests/bench_all_to_all.py || {
            echo "$0/tests/bench_all_to_all.py has no \"num_repeat = 20\" to set to $NUM_REPEAT: another version of pplx-kernels?" >&2
            exit 1
        }
        NODE_RANK=$SLURM_NODEID python3 -m tests.bench_all_to_all "$@"' "$source" "${flags[@]}")
}
