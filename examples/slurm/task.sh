#!/usr/bin/env bash
# Runs a command as one task of a job step, with this task's share of the NICs in NODE_NICS, if that says any.
set -euo pipefail

if [[ -n ${NODE_NICS:-} ]]; then
    IFS=, read -ra nics <<<"$NODE_NICS"
    # 2(x3): so many tasks on each node, or nodes have different numbers of tasks and nobody can share out by this list.
    [[ $SLURM_STEP_TASKS_PER_NODE =~ ^([0-9]+)(\(x[0-9]+\))?$ ]] || {
        echo "$0: NODE_NICS is for steps with as many tasks on each node, not $SLURM_STEP_TASKS_PER_NODE" >&2
        exit 2
    }
    tasks=${BASH_REMATCH[1]}
    each=$((${#nics[@]} / tasks))
    if ((each * tasks != ${#nics[@]})); then
        echo "$0: NODE_NICS names ${#nics[@]} NICs, which $tasks tasks cannot share evenly" >&2
        exit 2
    fi
    mine=("${nics[@]:SLURM_LOCALID * each:each}")
    RAILTOP_NICS=$(IFS=, && echo "${mine[*]}")
    export RAILTOP_NICS
fi
exec "$@"
