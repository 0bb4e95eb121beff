#!/usr/bin/env bash
# NCCL over libfabric with the hook in it: two ranks of PyTorch on one GPU, and their counter pages against what NCCL has to send.
#
#   tests/gpu/nccl.sh RAILTOP HOOK PLUGIN [ROUNDS]    HOOK: librailtop_hook-fi.so
#                                                     PLUGIN: aws-ofi-nccl's libnccl-net-ofi.so (nccl-build.sh makes one)
#
# NCCL refuses two ranks on one GPU of one host; here each says that it is a host of its own (NCCL_HOSTID), so all of their traffic
# goes through the plugin, over loopback and from the host's memory. ROUNDS (2) is how often it is run without and with the hook.
#
# LIBCUDART        the CUDA runtime that the plugin opens, unless PyTorch's own
# RAILTOP_LIBRARY  librailtop.so: then also a trace of PyTorch's profiler with the counters in it
# LOGS             a directory in which to keep what NCCL and the ranks say
#
# Ends with a table of goals, and with 1 when one is missed or something has failed. Needs PyTorch with NCCL 2.28 or later,
# libfabric, and what the plugin is linked with (LD_LIBRARY_PATH).
set -euo pipefail

railtop=$1 plugin=$(realpath "$3") rounds=${4:-2}
RAILTOP_HOOK=$(realpath "$2")
export RAILTOP_HOOK
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
failed=0

# shellcheck source=tests/gpu/goals.sh
source "$here/goals.sh"
work=$(mktemp -d)
logs=${LOGS:-$work/logs}
mkdir -p "$logs"
# Pages have to lie in shared memory.
pages=$(mktemp -d -p /dev/shm railtop-nccl-XXXXXX)
mps_runs=
finish() {
    [[ -z $mps_runs ]] || echo quit | nvidia-cuda-mps-control || true
    rm -rf "$work" "$goals" "$pages"
}
trap finish EXIT

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

skip() {
    echo "skipped: $*"
    exit 0
}

command -v python3 >/dev/null || skip "no python3"
# Whether there is what this needs; and the CUDA runtime that PyTorch has loaded.
about=$(python3 -c '
import torch
assert torch.cuda.is_available(), "no GPU that PyTorch can use"
print(torch.__version__, "NCCL " + ".".join(map(str, torch.cuda.nccl.version())), torch.cuda.get_device_name(0), sep=", ")
torch.zeros(1, device="cuda")
print(next((line.split()[-1] for line in open("/proc/self/maps") if "libcudart.so" in line), ""))
' 2>&1) || skip "no PyTorch with CUDA and NCCL: $(tail -n 1 <<<"$about")"
echo "PyTorch $(sed -n 1p <<<"$about")"
mkdir "$work/lib"
cudart=${LIBCUDART:-$(sed -n 2p <<<"$about")}
[[ -z $cudart ]] || ln -s "$(realpath "$cudart")" "$work/lib/libcudart.so"
export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
absent=$(ldd "$plugin" | grep "not found" || true)
[[ -z $absent ]] || skip "libraries of the plugin are not here: $(xargs <<<"$absent")"
"$railtop" list --hook || fail "no hook: railtop list --hook"

# The network: this plugin over libfabric's tcp on the loopback interface, and nothing that would go around it.
export NCCL_NET_PLUGIN=$plugin OFI_NCCL_PROTOCOL=SENDRECV OFI_NCCL_EXCLUDE_TCP_IF=none
export FI_PROVIDER="${FI_PROVIDER:-tcp;ofi_rxm}" FI_TCP_IFACE=lo
export NCCL_SOCKET_IFNAME=lo NCCL_IB_DISABLE=1 NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_NVLS_ENABLE=0 NCCL_MNNVL_ENABLE=0
export NCCL_NET_GDR_LEVEL=LOC NCCL_GIN_ENABLE=0 NCCL_CUMEM_ENABLE=0 NCCL_CUMEM_HOST_ENABLE=0 NCCL_RAS_ENABLE=0
# These send what they were given and nothing beside it; NCCL's other protocols send flags with it.
export NCCL_ALGO=Ring NCCL_PROTO=Simple NCCL_P2P_LL_THRESHOLD=0
export NCCL_DEBUG=INFO NCCL_DEBUG_SUBSYS=INIT,NET,ENV TORCH_NCCL_ENABLE_MONITORING=0 PYTHONUNBUFFERED=1
export PYTHONPATH=$here/../../python${PYTHONPATH:+:$PYTHONPATH}

mps() {
    command -v nvidia-cuda-mps-control >/dev/null || return 0
    export CUDA_MPS_PIPE_DIRECTORY=$work/pipe CUDA_MPS_LOG_DIRECTORY=$work/log
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d && mps_runs=yes
}
no_mps() {
    echo quit | nvidia-cuda-mps-control || true
    mps_runs=
    unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
}

# Both ranks, NAME for the logs, and words for nccl.py; `under` is what stands in front of python3. Rank 0 writes rows to $work/NAME.
under=()
ranks() {
    local name=$1 rank status=0 code pids=() began=$SECONDS
    shift
    mkdir -m 700 "$pages/$name"
    for rank in 0 1; do
        RANK=$rank WORLD_SIZE=2 LOCAL_RANK=0 NCCL_HOSTID=railtop-$rank RAILTOP_PAGE_DIR=$pages/$name NCCL_DEBUG_FILE=$logs/$name.$rank.nccl \
            timeout -k 5 60 "${under[@]}" python3 "$here/nccl.py" "$work/store.$name" "$@" \
            >"$work/$name.$rank" 2>"$logs/$name.$rank.stderr" &
        pids+=($!)
    done
    # One alone would wait for the other until its time is over.
    for rank in 0 1; do
        wait -n || {
            code=$?
            [[ $status != 0 ]] || status=$code
            kill "${pids[@]}" 2>/dev/null || true
        }
    done
    mv "$work/$name.0" "$work/$name"
    cp "$work/$name" "$logs/$name.rows"
    echo "== $name: exit $status after $((SECONDS - began)) s${mps_runs:+, MPS}"
    return $status
}
complain() {
    local name=$1 rank
    cat "$work/$name"
    for rank in 0 1; do
        echo "-- $name, rank $rank"
        tail -n 25 "$logs/$name.$rank.stderr" | cut -c 1-400
        grep -E "WARN|NET/OFI|Using network|rror" "$logs/$name.$rank.nccl" 2>/dev/null | tail -n 25 | cut -c 1-300 || true
    done
}

# bare, hook or preload; the round.
one() {
    local way=$1 name=$1-$2 words=()
    case $way in
        bare) under=() ;;
        hook) under=("$railtop" run --) words=(--pages "$railtop") ;;
        preload) under=("$railtop" run --preload --) words=(--pages "$railtop") ;;
    esac
    ranks "$name" "${words[@]}" || return 1
    sed "s/^/$way /" "$work/$name" >>"$work/rows"
    # NCCL says of each channel what it goes through, and the plugin what it has chosen.
    if ! grep -q "via NET/.*Libfabric" "$logs/$name.0.nccl"; then
        fail "$name: NCCL did not go over the plugin"
        complain "$name"
    fi
}

: >"$work/rows"
mps || true
if ! one hook 1; then
    complain hook-1
    first=
    if [[ -n $mps_runs ]]; then
        echo "once more without MPS"
        no_mps
        rm -rf "$work"/store.* "${pages:?}"/*
        if one hook 1; then first=good; else complain hook-1; fi
    fi
    if [[ -z $first ]]; then
        # Whether it is the hook: the same without.
        one bare 1 || complain bare-1
        fail "two ranks over NCCL and libfabric with the hook"
        echo "$failed failed"
        exit 1
    fi
fi
grep -hE "NET/OFI (Initializing|Using|Selected)|Using network|via NET" "$logs/hook-1.0.nccl" | sed 's/.*NCCL INFO //' | sort -u | head -n 12

for ((round = 1; round <= rounds; round++)); do
    one bare "$round" || { complain "bare-$round"; fail "round $round without the hook"; }
    [[ $round == 1 ]] || one hook "$round" || { complain "hook-$round"; fail "round $round with the hook"; }
done
one preload 1 || { complain preload-1; fail "preloaded"; }

# The median of a column (4: us, 5: GB/s) over the rounds, and a way's.
median() {
    awk -v way="$1" -v what="$2" -v size="$3" -v column="$4" '$1 == way && $2 == "speed" && $3 == what && $4 == size { print $(column + 1) }' \
        "$work/rows" | sort -g | awk '{ value[NR] = $1 } END { if (NR) print (value[int((NR + 1) / 2)] + value[int((NR + 2) / 2)]) / 2 }'
}
echo
echo "speed: us of one, and GB/s of a rank; medians of $rounds rounds (preload: one)"
printf '%-12s %10s %12s %12s %12s %10s %10s %10s\n' what bytes bare-us hook-us preload-us bare-GB/s hook-GB/s preload
while read -r what size; do
    printf '%-12s %10d' "$what" "$size"
    for way in bare hook preload; do printf ' %12s' "$(median $way "$what" "$size" 4)"; done
    for way in bare hook preload; do printf ' %10s' "$(median $way "$what" "$size" 5)"; done
    echo
done < <(awk '$1 == "hook" && $2 == "speed" { print $3, $4 }' "$work/rows" | awk '!seen[$0]++')

echo
echo "counts: by how much a rank's page grew"
awk '$2 == "count" {
    if (!head++) printf "%-8s %-10s %10s %4s %12s %12s %12s %8s %8s\n", "way", "what", "bytes", "rank", "NCCL sends", "Tx", "Rx", "Tx ops", "Rx ops"
    printf "%-8s %-10s %10d %4d %12d %12d %12d %8d %8d\n", $1, $3, $4, $5, $6, $7, $8, $9, $10
}' "$work/rows"

# The most that a column (7: Tx, 8: Rx) is away from what NCCL sends, in any round and row from 1 MiB.
worst() {
    awk -v way="$1" -v column="$2" '
        $1 == way && $2 == "count" && $4 >= 1048576 {
            at = $column - $6
            if (at < 0) at = -at
            if (at > most) most = at
            n++
        }
        END { if (n) print most + 0 }' "$work/rows"
}
# What one rank's page has as sent against what the other's has as received, in any round and row: bytes and operations.
apart() {
    awk -v way="$1" '
        $1 == way && $2 == "count" {
            if ($5 == 0) { tx = $7; rx = $8; tx_ops = $9; rx_ops = $10; next }
            n++
            for (each = 1; each <= 4; each++) {
                at = each == 1 ? tx - $8 : each == 2 ? rx - $7 : each == 3 ? tx_ops - $10 : rx_ops - $9
                sum += at < 0 ? -at : at
            }
        }
        END { if (n) print sum + 0 }' "$work/rows"
}
for way in hook preload; do
    goal "$way: Tx against what NCCL sends, from 1 MiB" "$(worst $way 7)" B "<= 0"
    goal "$way: Rx against what NCCL sends, from 1 MiB" "$(worst $way 8)" B "<= 0"
    goal "$way: a rank's Tx against the other's Rx" "$(apart $way)" "B and ops" "<= 0"
done

if [[ -n ${RAILTOP_LIBRARY:-} ]]; then
    under=("$railtop" run --)
    if ranks trace --trace "$logs/trace.json"; then
        grep "^trace:" "$work/trace"
        read -r _ _ sent tx began ended < <(grep "^traced " "$work/trace")
        goal "trace: Tx against what NCCL sends" $((tx > sent ? tx - sent : sent - tx)) B "<= 0"
        # A sample is 10 ms long, and begins before what it has seen.
        goal "trace: Tx begins when NCCL's first kernel does" "${began#-}" ms "<= 30"
        goal "trace: Tx ends when NCCL's last kernel does" "${ended#-}" ms "<= 30"
    else
        complain trace
        fail "trace"
    fi
fi

met=yes
verdicts || met=
echo "$failed failed"
[[ $failed == 0 && $met ]]
