# shellcheck shell=bash
# What the jobs of this directory run, and its environment. Sourced by them, after ../slurm/job.sh.
# What each variable does, and who says so: README.md.
# Variables of the job script, and those that job.sh uses:
# shellcheck disable=SC2034,SC2154

GENERATOR=${GENERATOR:-nvshmem}
# Where the variants of NVSHMEM are: IMAGES/nvshmem-VARIANT.sqsh, or, without containers, NVSHMEM_ROOT/VARIANT/{lib,bin}.
IMAGES=${IMAGES:-$SLURM_SUBMIT_DIR}
NVSHMEM_ROOT=${NVSHMEM_ROOT:-}
# Where libfabric looks for providers of its own, as `railtop list --hook` calls it; here those of the EFA installer's, which are lib or lib64.
PROVIDER_DIR=${PROVIDER_DIR:-/opt/amazon/efa/lib/libfabric:/opt/amazon/efa/lib64/libfabric}

case $GENERATOR in
    nvshmem) VARIANTS=${VARIANTS:-3.5.21 3.6.5 3.6.5-pr76} ;;
    railtop) VARIANTS=${VARIANTS:-single round-robin round-robin-offset pair-seq} ;;
    *) die "GENERATOR=$GENERATOR is neither nvshmem nor railtop" ;;
esac

# generator VARIANT: what differs between the two. `pattern`, `perftest` and `flags` are the job script's.
generator() {
    if [[ $GENERATOR == railtop ]]; then
        railtop_generator "$pattern" "$1" "${flags[@]}"
        return
    fi
    efa_environment
    export NVSHMEMTEST_USE_MPI_LAUNCHER=1
    launch=(--mpi="${MPI:-pmix}")
    local home=/opt/nvshmem
    if [[ -n $NVSHMEM_ROOT ]]; then
        home=$NVSHMEM_ROOT/$1
    else
        launch+=(--container-image="$IMAGES/nvshmem-$1.sqsh" --container-name="nvshmem-$1")
        [[ -z ${HOOK_DIR:-} ]] || launch+=(--container-mounts="$HOOK_DIR,/dev/shm")
    fi
    # Counter pages of NVSHMEM's PEs, by the hook: ../../docs/hook.md. The variable replaces libfabric's own directory, so that stays in it.
    if [[ -n ${HOOK_DIR:-} ]]; then
        export FI_HOOK=railtop FI_PROVIDER_PATH=$HOOK_DIR:${FI_PROVIDER_PATH:-$PROVIDER_DIR}
    fi
    # One GPU each, in the order of the tasks of a node.
    # shellcheck disable=SC2016
    program=(bash -c 'export CUDA_VISIBLE_DEVICES=$SLURM_LOCALID LD_LIBRARY_PATH=$0/lib:${LD_LIBRARY_PATH:-}
        exec "$@"' "$home" "$home/bin/perftest/$perftest" "${flags[@]}")
    rows=(awk -v policy="NVSHMEM $1" -v nodes="$nodes" -v pes=$((nodes * tasks)) -v command="$perftest ${flags[*]}"
        -f "$here/rows.awk")
}
