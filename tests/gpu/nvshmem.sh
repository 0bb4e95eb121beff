#!/usr/bin/env bash
# Ours and NVSHMEM's own benchmarks in turn on two GPUs of one node, and one table of both.
#
#   tests/gpu/nvshmem.sh RAILTOP PERFTEST [ROUNDS]    PERFTEST: the folder perftest of NVSHMEM's source, of the version
#                                                     that is installed
#
# Ends with a table of goals, and with 1 when one is missed. Needs nvcc, Open MPI and NVSHMEM (NVSHMEM_HOME, or the Python wheel nvidia-nvshmem-cu13). Built in a folder that is removed.
set -euo pipefail

railtop=$1 perftest=$2 rounds=${3:-3}

home=${NVSHMEM_HOME:-$(python3 -c 'import nvidia.nvshmem as n; print(list(n.__path__)[0])')}
# shellcheck source=tests/gpu/goals.sh
source "$(dirname "${BASH_SOURCE[0]}")/goals.sh"
work=$(mktemp -d)
trap 'rm -rf "$work" "$goals"' EXIT

# The wheel has no links without a number.
mkdir "$work/lib"
for library in "$home"/lib/*; do
    name=$(basename "$library")
    ln -s "$library" "$work/lib/$name"
    [[ $name == *.so.3 ]] && ln -s "$library" "$work/lib/${name%.3}"
done
export LD_LIBRARY_PATH=$work/lib:${LD_LIBRARY_PATH:-}

arch=sm_$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
build() {
    nvcc -O3 -std=c++17 -rdc=true -arch="$arch" -I "$home/include" -I "$perftest/common" \
        -I "$(dirname "$2")" -o "$work/$1" "$2" "$perftest/common/utils.cu" \
        -L "$work/lib" -lnvshmem_host -lnvshmem_device -lnvidia-ml -lcuda
}
build put "$perftest/device/pt-to-pt/shmem_put_bw.cu" &
build alltoall "$perftest/device/coll/alltoall_latency.cu"
wait $!

theirs() {
    local program=$1
    shift
    NVSHMEM_BOOTSTRAP=MPI NVSHMEM_DISABLE_NVLS=1 NVSHMEM_SYMMETRIC_SIZE=2G timeout 120 \
        mpirun --allow-run-as-root --oversubscribe -n 2 "$work/$program" "$@"
}
ours() {
    timeout 120 "$railtop" lab --loopback --nodes 1 --pes-per-node 2 --nics-per-pe 1 -- \
        "$railtop" bench "$@" --initiator gpu --heap device --format json
}

# Lines of: what, who, size, value. NVSHMEM's tables have the size first; in ours what a row has is named.
put_sizes=(-b 65536 -e 67108864 -f 4 -n 200 -w 20)
all_sizes=(-b 16 -e 16777216 -f 4 -n 200 -w 20)
rows() { awk -v what="$1" '/^[0-9]/ { print what, "nvshmem", $1, $NF }'; }
block_rows() { awk '$3 == "32-bit" && $4 == "block" { print "alltoall", "nvshmem", $1, $5 }'; }
json_rows() {
    grep '"type":"row"' | sed -E 's/.*"size":([0-9]+).*"'"$2"'":([0-9.e+-]+).*/\1 \2/' | sed "s/^/$1 ours /"
}
for ((round = 0; round < rounds; round++)); do
    theirs put "${put_sizes[@]}" | rows put
    ours put "${put_sizes[@]}" | json_rows put bw_gb_per_s
    theirs alltoall "${all_sizes[@]}" | block_rows
    ours alltoall "${all_sizes[@]}" -c 1 -s block --bits 32 | json_rows alltoall latency_us
    ours alltoall "${all_sizes[@]}" -c 32 -s block --bits 32 | json_rows alltoall-32 latency_us
done >"$work/results"

# The median of each.
sort -k1,1 -k2,2 -k3,3n -k4,4g "$work/results" | awk '
    { key = $1 " " $2 " " $3; count[key]++; value[key, count[key]] = $4; sizes[$1 " " $3] = $3; what[$1 " " $3] = $1 }
    function median(key) { return value[key, int((count[key] + 1) / 2)] }
    END {
        for (row in sizes) {
            mine = median(what[row] " ours " sizes[row])
            name = what[row] == "alltoall-32" ? "alltoall" : what[row]
            other = median(name " nvshmem " sizes[row])
            if (mine == "" || other == "") { ratio = "-" } else { ratio = sprintf("%.2f", what[row] == "put" ? mine / other : other / mine) }
            printf "%-12s %10d %12s %12s %8s\n", what[row], sizes[row], mine == "" ? "-" : mine, other == "" ? "-" : other, ratio
        }
    }' | sort -k1,1 -k2,2n >"$work/table"
echo "put: GB/s; alltoall: us, by one block of threads and by 32; better than NVSHMEM above 1"
printf '%-12s %10s %12s %12s %8s\n' what bytes ours NVSHMEM better
cat "$work/table"

# Our figure, and how much better it is, in a row of the table: WHAT BYTES.
ours_at() { awk -v what="$1" -v bytes="$2" '$1 == what && $2 == bytes { print $3 }' "$work/table"; }
better_at() { awk -v what="$1" -v bytes="$2" '$1 == what && $2 == bytes { print $5 }' "$work/table"; }
for ((bytes = 65536; bytes <= 67108864; bytes *= 4)); do
    goal "put of $bytes B, bandwidth against NVSHMEM's" "$(better_at put "$bytes")" x ">= 0.95"
done
for bytes in 16 64 256 1024 4096; do
    goal "all-to-all of $bytes B, 1 block" "$(ours_at alltoall "$bytes")" us "<= 15"
done
goal "all-to-all of 16 MiB, up to 32 blocks, against NVSHMEM's" "$(better_at alltoall-32 16777216)" x ">= 5"
verdicts
