#!/usr/bin/env bash
# What every PE of a lab runs so that an MPI job can: PE 0 starts mpirun, which reaches the other nodes' namespaces
# through this very script; the others wait until it has ended.
#
#   railtop lab … -- mpi-in-lab.sh DIR OPTIONS… PROGRAM…      DIR: an empty directory, the same for all
#   mpi-in-lab.sh --agent DIR NODE COMMAND…                     as mpirun's remote shell
set -euo pipefail

if [ "$1" = --agent ]; then
    pid=$(cat "$2/$3.pid")
    shift 3
    exec nsenter --target "$pid" --net --uts -- "$0" --in-node "$*"
fi
if [ "$1" = --in-node ]; then
    # UCX finds interfaces in sysfs, which shows those of the namespace it was mounted in.
    exec unshare --mount sh -c "mount -t sysfs sysfs /sys && $2"
fi

dir=$1
shift
per_node=$LOCAL_WORLD_SIZE
nodes=$((WORLD_SIZE / per_node))
if [ "$LOCAL_RANK" = 0 ]; then
    echo $$ >"$dir/.$RAILTOP_NODE"
    mv "$dir/.$RAILTOP_NODE" "$dir/$RAILTOP_NODE.pid"
fi
if [ "$RANK" != 0 ]; then
    until [ -e "$dir/done" ]; do sleep 0.2; done
    exit
fi
trap 'touch "$dir/done"' EXIT
until [ "$(find "$dir" -name '*.pid' | wc -l)" = "$nodes" ]; do sleep 0.05; done

hosts=$(for ((node = 0; node < nodes; node++)); do printf 'node%d:%d,' "$node" "$per_node"; done)
# All NICs of a node, and no core for itself: with more ranks than cores pure spinning would measure the scheduler.
nics=$(sed -nE 's/^ *(nic[0-9]+):.*/\1/p' /proc/net/dev | paste -sd,)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
command=(
    mpirun -np "$WORLD_SIZE" --host "${hosts%,}" --bind-to none \
    --mca plm rsh --mca plm_rsh_agent "$0 --agent $dir" --mca plm_rsh_no_tree_spawn 1 --mca oob_tcp_if_include eth0 \
    --mca mpi_yield_when_idle 1 --mca btl_tcp_if_include "$nics" -x "UCX_NET_DEVICES=$nics" "$@"
)
"$0" --in-node "${command[*]@Q}"
