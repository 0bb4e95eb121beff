#!/usr/bin/env bash
# What both PEs of a lab run so that UCX's own benchmark of puts can: PE 0's node listens, PE 1 puts there and prints MB/s (of 2^20).
#
#   railtop lab --nodes 2 --pes-per-node 1 … -- ucx-in-lab.sh BYTES COUNT
set -euo pipefail

if [ "$1" != --in-node ]; then
    # shellcheck disable=SC2016
    # UCX finds interfaces in sysfs, which shows those of the namespace it was mounted in.
    exec unshare --mount sh -c 'mount -t sysfs sysfs /sys && exec "$0" --in-node "$@"' "$0" "$@"
fi
bytes=$2 count=$3

nics=$(sed -nE 's/^ *(nic[0-9]+):.*/\1/p' /proc/net/dev | paste -sd,)
# One put over as many NICs as there are. UCX's tcp only: what else it finds is not a NIC of the lab.
export UCX_NET_DEVICES=$nics UCX_TLS=tcp UCX_MAX_RMA_RAILS=4 UCX_WARN_UNUSED_ENV_VARS=n
if [ "$RANK" = 0 ]; then
    exec ucx_perftest -p 13337 >&2
fi
# To look whether it listens yet would be the one connection that it takes.
for ((attempt = 0; attempt < 50; attempt++)); do
    if ucx_perftest "$MASTER_ADDR" -p 13337 -t ucp_put_bw -s "$bytes" -n "$count" -w 2 -f -v 2>/dev/null; then exit; fi
    sleep 0.1
done
exit 1
