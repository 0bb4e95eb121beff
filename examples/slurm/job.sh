# shellcheck shell=bash
# What the jobs of examples/ share. Sourced by them; see examples/slurm/README.md.
#
# A job script sources this, says with `generator` what to start, and calls `job NAME`. That starts a monitor on every node,
# runs each of VARIANTS, stops the monitors, however the job ends, and builds the report.

examples=$(realpath -- "$(dirname -- "${BASH_SOURCE[0]}")/..")

die() {
    echo "$0: $*" >&2
    exit 2
}

[[ -n ${SLURM_JOB_ID:-} ]] || die "not in a Slurm job: submit it with sbatch, or run it with bash inside of salloc"

nodes=$SLURM_JOB_NUM_NODES

# The monitor and the generator; built here, if nobody names another. Every node must reach it.
RAILTOP=${RAILTOP:-$(command -v railtop || echo "$examples/../target/release/railtop")}
[[ -x $RAILTOP ]] || die "no railtop at $RAILTOP: make build, or name it: RAILTOP=/path/to/railtop"
RAILTOP=$(realpath -- "$RAILTOP")

# How often the monitors look.
INTERVAL=${INTERVAL:-200ms}

# A PE is several threads: its program's and those that keep its NICs going. Slurm would put all of them on one core.
CPU_BIND=${CPU_BIND:-none}

# Only who holds it may join a job of railtop's generator, and nobody else gets it: see railtop_generator.
export -n RAILTOP_JOB_SECRET

monitor='' running=''

# start_monitors: `railtop log --record` on each node, beside whatever else runs there.
start_monitors() {
    # shellcheck disable=SC2016
    srun --export=ALL --overlap --mpi=none --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --job-name=monitor bash -c '
        echo "$SLURM_STEP_ID" >"$1/monitor.step"
        exec "$0" log --record "$1/$SLURMD_NODENAME.rec" -i "$2" -o /dev/null' \
        "$RAILTOP" "$results" "$INTERVAL" 2>"$results/monitor.log" &
    monitor=$!
    local node waited=0
    for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
        until [[ -s $results/$node.rec ]]; do
            kill -0 "$monitor" 2>/dev/null || die "the monitors did not start; see $results/monitor.log"
            ((waited++ < 600)) || die "the monitor of $node did not start within a minute; see $results/monitor.log"
            sleep 0.1
        done
    done
}

# stop_monitors: lets them end in good order, within ten seconds.
stop_monitors() {
    [[ -n $monitor ]] || return 0
    local waited=0
    # Where the job is being cancelled they have had their signal already.
    if [[ -s $results/monitor.step ]]; then
        scancel --signal=INT "$SLURM_JOB_ID.$(<"$results/monitor.step")" 2>/dev/null || true
    fi
    while kill -0 "$monitor" 2>/dev/null; do
        ((waited++ < 100)) || { kill "$monitor" && break; }
        sleep 0.1
    done
    wait "$monitor" || echo "a monitor ended with status $?; see $results/monitor.log" >&2
    rm -f "$results/monitor.step"
    [[ -s $results/monitor.log ]] || rm -f "$results/monitor.log"
}

# Runs at the end of the job, whichever end it is.
finish() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    set +e
    if [[ -n $running ]] && kill "$running" 2>/dev/null; then
        wait "$running"
    fi
    stop_monitors
    # What has been measured until then is worth a report.
    if "$RAILTOP" report "$results" --force --title "$title" -o "$results/report.html" &&
        "$RAILTOP" report "$results" --force --format text -o "$results/report.txt"; then
        echo "report: $results/report.html, report.txt" >&2
    fi
    exit "$status"
}

# run_variant VARIANT: one run of the generator; what it prints becomes rows for the report. Its caller looks at the status, which
# switches `set -e` off in here and in what this calls: each step is checked.
run_variant() {
    local variant=$1 status=0
    local tasks=$TASKS_PER_NODE launch=() program=() rows=() raw=$results/$variant.txt result=$results/$variant.jsonl
    generator "$variant" || status=$?
    if ((status)); then
        echo "$variant: not started: preparing it ended with status $status" >&2
        return "$status"
    fi
    echo "== $variant: ${program[*]}" >&2
    # In the background, so that a signal is heard at once.
    srun --export=ALL --nodes="$nodes" --ntasks=$((nodes * tasks)) --ntasks-per-node="$tasks" --kill-on-bad-exit=1 \
        --cpu-bind="$CPU_BIND" "${launch[@]}" "${program[@]}" >"$raw" &
    running=$!
    wait "$running" || status=$?
    running=''
    ((status == 0)) || echo "$variant: ended with status $status" >&2
    if ! "${rows[@]}" <"$raw" >"$result"; then
        echo "$variant: could not make $result of $raw" >&2
        ((status)) || status=1
    elif [[ ${rows[0]} == cat ]]; then
        # Rows as they were printed need no second copy.
        rm -f "$raw"
    fi
    # A program that printed nothing to measure has not succeeded, whatever its status.
    if ! grep -q '"type":"row"' "$result"; then
        echo "$variant: no rows in $result" >&2
        ((status)) || status=1
    fi
    return "$status"
}

# job NAME: everything; ends with the status of the first variant that failed. A failed one does not keep the others from
# being measured.
job() {
    local variants variant first=0 status
    # shellcheck disable=SC2153
    IFS=' ' read -ra variants <<<"$VARIANTS"
    title="$1, $nodes nodes, job $SLURM_JOB_ID"
    results=$(realpath -m -- "${RESULTS:-${SLURM_SUBMIT_DIR:-.}}")/$1-$SLURM_JOB_ID
    mkdir -p -- "$results"
    trap finish EXIT
    # Slurm may send its signal more than once, and only the first may lead to the exit.
    trap 'trap "" INT TERM; exit 130' INT
    trap 'trap "" INT TERM; exit 143' TERM
    start_monitors
    for variant in "${variants[@]}"; do
        status=0
        run_variant "$variant" || status=$?
        ((first)) || first=$status
    done
    exit "$first"
}

# railtop_generator PATTERN POLICY FLAGS…: sets what run_variant starts, for railtop's own generator.
railtop_generator() {
    # Passed on by srun, in the environment.
    if [[ -z ${RAILTOP_JOB_SECRET:-} ]]; then
        RAILTOP_JOB_SECRET=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n') || return
    fi
    export RAILTOP_JOB_SECRET
    export NODE_NICS=${NODE_NICS:-}
    launch=(--mpi=none)
    program=("$examples/slurm/task.sh" "$RAILTOP" bench "$1" --policy "$2" --format json "${@:3}")
    rows=(cat)
}

# efa_environment: NVSHMEM and libfabric on EFA, in containers or not. What each variable does, and who says so:
# examples/nvshmem/README.md.
efa_environment() {
    export NVSHMEM_REMOTE_TRANSPORT=libfabric
    export NVSHMEM_LIBFABRIC_PROVIDER=efa
    export NVSHMEM_DISABLE_CUDA_VMM=1
    export FI_PROVIDER=efa
    export FI_EFA_USE_DEVICE_RDMA=1
    export FI_EFA_FORK_SAFE=1
    export FI_EFA_ENABLE_SHM_TRANSFER=0
    export NVIDIA_VISIBLE_DEVICES=all
}
