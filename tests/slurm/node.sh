#!/usr/bin/env bash
# A node of the tests' Slurm: what `railtop lab` runs on each of its nodes. node.sh DIR
#
# The node has its own network and host name from the lab; here it gets what nodes have of their own besides: /dev/shm, and
# a name for the others. Node 0 is the controller too. Everything ends with the lab.
set -euo pipefail

dir=$1
if [[ ${2:-} != inside ]]; then
    exec unshare --mount --propagation private "$0" "$dir" inside
fi
export SLURM_CONF=$dir/slurm.conf
mount -t tmpfs tmpfs /dev/shm
mount --bind "$dir/hosts" /etc/hosts
node=$(hostname)
mkdir -p "$dir/spool-$node" "$dir/tmp-$node"

# The lab's variables are for its own PEs.
for name in ${!RAILTOP@} ${!MASTER_@} ${!LOCAL_@} RANK WORLD_SIZE; do
    unset "$name"
done

if [[ $node == node0 ]]; then
    munged --foreground --key-file="$dir/munge.key" --socket="$dir/munge.sock" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2>"$dir/munged.err" &
fi
until [[ -S $dir/munge.sock ]]; do sleep 0.05; done
if [[ $node == node0 ]]; then
    slurmctld -D 2>"$dir/slurmctld.err" &
fi
echo $$ >"$dir/$node.pid"
exec slurmd -D -N "$node" 2>"$dir/slurmd-$node.err"
