#!/usr/bin/env bash
# aws-ofi-nccl with the hook in it, without NCCL and without a GPU: every byte that goes through the plugin is in the counter pages.
#
#   tests/gpu/nccl-plugin.sh RAILTOP HOOK PLUGIN SOURCE    HOOK: librailtop_hook-fi.so; PLUGIN: libnccl-net-ofi.so
#                                                          SOURCE: aws-ofi-nccl's source, for the headers of NCCL's plugins
#
# Two processes of nccl-plugin.c send each other messages of known size and look at every byte of them, hooked and preloaded. What
# the plugin sends to connect is its own affair, so each is run twice: twice the messages are exactly that much more. Ends with 1
# when a count is wrong. Needs a C compiler and libfabric. FI_PROVIDER is "tcp;ofi_rxm" unless set; `net` of libfabric 1.17 hangs
# with the messages of 33 bytes, with the hook and without.
set -euo pipefail

if [[ $# != 4 ]]; then
    echo "usage: $0 RAILTOP HOOK PLUGIN SOURCE" >&2
    exit 2
fi
railtop=$1 plugin=$(realpath "$3") headers=$(realpath "$4")/3rd-party/nccl/cuda/include
RAILTOP_HOOK=$(realpath "$2")
export RAILTOP_HOOK RAILTOP_HOOK_KEEP=1
here=$(dirname "${BASH_SOURCE[0]}")
work=$(mktemp -d)
# Pages have to lie in shared memory.
pages=$(mktemp -d -p /dev/shm railtop-nccl-XXXXXX)
trap 'rm -rf "$work" "$pages"' EXIT

if [[ ! -e $headers/nccl/net.h ]]; then
    echo "no nccl/net.h in $headers: is that the source of aws-ofi-nccl?" >&2
    exit 2
fi
mkdir "$work/lib"
cc -O1 -Wall -Wextra -shared -fPIC -o "$work/lib/libcudart.so" "$here/nccl-cudart.c"
cc -O1 -Wall -Wextra -isystem "$headers" -o "$work/plugin" "$here/nccl-plugin.c" -ldl
export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export FI_PROVIDER="${FI_PROVIDER:-tcp;ofi_rxm}" FI_TCP_IFACE=lo OFI_NCCL_PROTOCOL=SENDRECV OFI_NCCL_EXCLUDE_TCP_IF=none

# Both ranks with these COUNT:BYTES words. Prints what their pages have: rank, then operations and bytes, sent and received.
counts() {
    local way=$1 rank status=0 pids=() handles
    shift
    handles=$(mktemp -d -p "$work")
    RAILTOP_PAGE_DIR=$(mktemp -d -p "$pages")
    export RAILTOP_PAGE_DIR
    for rank in 0 1; do
        RANK=$rank WORLD_SIZE=2 timeout -k 5 60 "$railtop" run "$way" -- \
            "$work/plugin" "$plugin" $rank "$handles" "$@" >&2 &
        pids+=($!)
    done
    for rank in 0 1; do
        wait "${pids[$rank]}" || status=$?
    done
    [[ $status == 0 ]] || return $status
    "$railtop" log --source page -n 1 |
        sed -nE 's/.*"pe":([0-9]+),.*"tx_bytes":([0-9]+),"rx_bytes":([0-9]+),"tx_ops":([0-9]+),"rx_ops":([0-9]+).*/\1 \4 \2 \5 \3/p' | sort -n
}

small=1000:1024 large=40:1000000 odd=100:33
ops=$((1000 + 40 + 100)) bytes=$((1000 * 1024 + 40 * 1000000 + 100 * 33))
failed=0
for way in --hook --preload; do
    if ! once=$(counts $way $small $large $odd) || ! twice=$(counts $way $small $large $odd $small $large $odd); then
        echo "FAILED: $way: a rank has failed"
        failed=$((failed + 1))
        continue
    fi
    if [[ $(wc -l <<<"$once") != 2 || $(wc -l <<<"$twice") != 2 ]]; then
        echo "FAILED: $way: not two pages"
        failed=$((failed + 1))
    fi
    while read -r rank first_ops first_bytes first_rx_ops first_rx_bytes more_ops more_bytes more_rx_ops more_rx_bytes; do
        more="$((more_ops - first_ops)) $((more_bytes - first_bytes)) $((more_rx_ops - first_rx_ops)) $((more_rx_bytes - first_rx_bytes))"
        echo "$FI_PROVIDER $way rank $rank: $more more; to connect: $((first_ops - ops)) messages of $((first_bytes - bytes)) bytes"
        if [[ $more != "$ops $bytes $ops $bytes" ]]; then
            echo "FAILED: should be $ops $bytes $ops $bytes"
            failed=$((failed + 1))
        fi
    done < <(join <(echo "$once") <(echo "$twice"))
done
echo "$failed failed"
[[ $failed == 0 ]]
