#!/usr/bin/env bash
# The experiments of "NVSHMEM Multi-NIC Support with AWS EFA" in the lab, and our figures beside the article's: as root, about a
# quarter of an hour.
#
#   scripts/reproduce.sh RAILTOP DIR
#
# Writes into DIR, which must not be there: results (.jsonl), a recording (.rec), table.md, report.html, report.txt.
# PARTS="put alltoall sim moe batch" runs some of it; ROUNDS repeats each measurement (3).
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: $0 RAILTOP DIR" >&2
    exit 2
fi
railtop=$(realpath "$1")
dir=$2
rounds=${ROUNDS:-3}
parts=${PARTS:-put alltoall sim moe batch}
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
# NVSHMEM 3.5.21, 3.6.5, 3.6.5 with the fix, and what railtop takes by itself.
policies=single,round-robin,round-robin-offset,pair-seq

if [ -e "$dir" ]; then
    echo "$dir is there already: name another directory, or remove it" >&2
    exit 1
fi
mkdir -p "$dir"
dir=$(realpath "$dir")

say() { echo "$(date +%T) $*" >&2; }

# bench NAME NODES PES RATE PATTERN FLAGS…: results in NAME.jsonl. All policies are gone through once in each round.
bench() {
    local name=$1 nodes=$2 pes=$3 rate=$4
    shift 4
    say "$name: $nodes nodes of $pes PEs, 4 NICs of $rate each: railtop bench $*"
    timeout 600 "$railtop" lab --nodes "$nodes" --pes-per-node "$pes" --nics-per-pe 4 --nic-rate "$rate" -- \
        "$railtop" bench "$@" --rounds "$rounds" --format json >"$dir/$name.jsonl"
}

# What a monitor beside it sees of each NIC, for the course over time.
recorder=
stop_recorder() {
    if [ -n "$recorder" ]; then
        kill "$recorder" 2>/dev/null || true
        wait "$recorder" 2>/dev/null || true
        recorder=
    fi
}
trap stop_recorder EXIT

for part in $parts; do
    case $part in
        put)
            # 32 puts of 128 KiB an iteration, as shmem_put_bw splits them.
            bench put 2 1 200mbit put --policy "$policies" -b 4M -e 16M -w 2 -n 10 --verify
            ;;
        alltoall)
            # Remote peers are a multiple of the NICs on every number of nodes: 4, 12, 28. A round takes four NICs 400 ms and
            # more, long beyond the burst that an idle NIC has for nothing (26 ms).
            "$railtop" log --record "$dir/alltoall.rec" -i 200ms -o /dev/null &
            recorder=$!
            for nodes in 2 4 8; do
                bench "alltoall-$nodes-nodes" "$nodes" 4 20mbit alltoall --policy "$policies" -b 8M -e 8M -w 1 -n 1 --verify
            done
            stop_recorder
            ;;
        sim)
            # The article's own cluster in the model (docs/scale.md), since it does not fit here.
            say "sim: 2 to 16 nodes of 8 PEs, 4 NICs of 100 Gb/s each"
            timeout 600 "$railtop" sim alltoall --preset efa-p5 --nodes 2,4,8,16 --message 1G -n 4 --policy "$policies" \
                --format json >"$dir/sim.jsonl"
            ;;
        moe)
            for nodes in 2 4; do
                bench "moe-$nodes-nodes" "$nodes" 2 100mbit moe --config all --tokens 8,32,128 --batch off \
                    --policy round-robin,round-robin-offset,pair-seq -w 1 -n 1 --verify
            done
            ;;
        batch)
            # NICs so fast that the rate of messages is the limit, as the article's.
            # One PE a node: on a small machine more of them would measure who gets a core.
            for batch in off auto; do
                bench "batch-$batch" 2 1 none moe --config all --tokens 1,8,32,128 --batch "$batch" \
                    --policy pair-seq -w 2 -n 20 --no-alltoall
            done
            ;;
        *)
            echo "PARTS: there is no '$part': put, alltoall, sim, moe, batch" >&2
            exit 2
            ;;
    esac
done

"$here/reproduce-table.py" "$dir" >"$dir/table.md"
"$railtop" report "$dir" -o "$dir/report.html"
"$railtop" report "$dir" --format text >"$dir/report.txt"
cat "$dir/table.md"
say "table.md, report.html and report.txt are in $dir"
