#!/usr/bin/env bash
# The transport against the line rates of emulated NICs, in the lab: `railtop lab`, as root. Part of `make bench`.
#
#   scripts/bench-lab.sh RAILTOP [BENCH]
#
# RAILTOP is the program; BENCH, if given, the benchmark `transport` (cargo build --release --benches), for latencies.
# Where Open MPI is installed (openmpi-bin, libopenmpi-dev), its all-to-all is measured beside ours; with UCX's tools (ucx-utils) its put.
# Prints a row per figure: what, value, goal, whether it is met. Repeats each measurement and takes the median.
set -euo pipefail

railtop=$(realpath "$1")
bench=${2:+$(realpath "$2")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${ROUNDS:-3}
# Bits per second of a NIC.
rate=200000000
nic_rate=200mbit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# lab NODES PES NICS CMD…: runs CMD on every PE.
lab() {
    local nodes=$1 pes=$2 nics=$3
    shift 3
    timeout 60 "$railtop" lab --nodes "$nodes" --pes-per-node "$pes" --nics-per-pe "$nics" --nic-rate "$nic_rate" -- "$@"
}

# The values of a field in the result rows of JSON lines, one per line.
field() { sed -nE "/\"type\":\"row\"/s/.*\"$1\":([0-9.e+-]+).*/\1/p"; }

median() { sort -g | awk '{ value[NR] = $1 } END { if (NR == 0) exit 1; print value[int((NR + 1) / 2)] }'; }

# row WHAT VALUE UNIT [GOAL]: a goal begins with >= or <=.
row() {
    awk -v what="$1" -v value="$2" -v unit="$3" -v goal="${4:-}" 'BEGIN {
        split(goal, part, " ")
        met = part[1] == ">=" ? value >= part[2] : value <= part[2]
        verdict = goal == "" ? "" : met ? "met" : "MISSED"
        if (goal != "") goal = goal " " unit
        printf "%-52s %14s   %-16s %s\n", what, sprintf("%.2f %s", value, unit), goal, verdict
    }'
}

repeat() { for ((round = 0; round < rounds; round++)); do "$@"; done; }

# GB/s of puts of so many bytes, one after another: POLICY SIZE COUNT.
put_rate() { lab 2 1 4 "$railtop" bench put --policy "$1" -b "$2" -e "$2" -n "$3" -c 1 -w 1 --format json; }

for size in 1M 4M; do
    bandwidth=$(repeat put_rate pair-seq "$size" 64 | field bw_gb_per_s | median)
    row "lab: put of $size, pair-seq, 4 NICs" "$(awk "BEGIN { print $bandwidth * 8e9 / (4 * $rate) * 100 }")" "%" ">= 98"
done

# The same puts by UCX's own benchmark, in turn with ours; both end when all have landed.
# What it says besides is shown when it fails.
ucx_rate() {
    lab 2 1 4 benches/peers/ucx-in-lab.sh "$1" 64 2>"$work/ucx.said" | awk -F, '/^ *64,/ { print $6 * 1048576 / 1e9 }' || {
        cat "$work/ucx.said" >&2
        return 1
    }
}
if command -v ucx_perftest >/dev/null; then
    version=$(ucx_info -v | sed -nE "s/.*[Vv]ersion:? ([0-9.]+).*/\1/p" | head -n 1)
    ucx_info -c | grep -q '^UCX_MAX_RMA_RAILS=' || version+=", which puts over one NIC"
    for mib in 1 4; do
        for ((round = 0; round < rounds; round++)); do
            put_rate pair-seq ${mib}M 64 | field bw_gb_per_s >>"$work/put-ours"
            ucx_rate $((mib << 20)) >>"$work/put-ucx" || echo "UCX's put did not end" >&2
        done
        if ours=$(median <"$work/put-ours") && theirs=$(median <"$work/put-ucx"); then
            row "lab: put of $mib MiB, UCX $version" "$(awk "BEGIN { print $theirs * 8e9 / (4 * $rate) * 100 }")" "%"
            row "    ours against it" "$(awk "BEGIN { print $ours / $theirs }")" "x"
        fi
        rm -f "$work"/put-*
    done
else
    echo "UCX's tools are not here (ucx-utils): no comparison with its put"
fi

# One put at a time: nothing of the next can fill a NIC that has done its part.
gain=$(for ((round = 0; round < rounds; round++)); do
    one=$(put_rate single 4M 1 | field bw_gb_per_s)
    all=$(put_rate stripe 4M 1 | field bw_gb_per_s)
    awk "BEGIN { print $all / $one }"
done | median)
row "lab: one put of 4 MiB, stripe against single" "$gain" "x" ">= 3.8"

# One NIC of four sends at half rate. uneven POLICY: GB/s.
uneven() {
    # shellcheck disable=SC2016
    lab 2 1 4 sh -c '[ "$RANK" != 0 ] || tc qdisc change dev nic1 root tbf rate "$2"bit burst 64kb limit 8mb || exit
        exec "$0" bench put --policy "$1" -b 256K -e 256K -n 400 -c 1 -w 4 --format json' \
        "$railtop" "$1" $((rate / 2))
}
for ((round = 0; round < rounds; round++)); do
    uneven pair-seq | field bw_gb_per_s >>"$work/uneven-pair-seq"
    uneven least-loaded | field bw_gb_per_s >>"$work/uneven-least-loaded"
done
least=$(median <"$work/uneven-least-loaded")
pairs=$(median <"$work/uneven-pair-seq")
row "lab: one NIC of 4 at half rate, least-loaded" "$(awk "BEGIN { print $least * 8e9 / (3.5 * $rate) * 100 }")" "%" ">= 95"
row "    against pair-seq" "$(awk "BEGIN { print $least / $pairs }")" "x" ">= 1.6"

# All-to-all: microseconds of a round of so many bytes per PE, by our transport, Open MPI's own and its UCX, one after another
# so that whatever else the machine does meets all of them. Each: NODES PES NICS.
megabytes=32
chunk=$((256 << 10))
alltoall() {
    lab "$1" "$2" "$3" "$railtop" bench alltoall -b ${megabytes}M -e ${megabytes}M --chunk "$chunk" -n 4 -w 1 --format json |
        field latency_us
}

# peer NODES PES NICS OPTIONS…: the same by MPI_Alltoall.
peer() {
    local nodes=$1 pes=$2 nics=$3 meeting
    shift 3
    meeting=$(mktemp -d "$work/XXXXXX")
    lab "$nodes" "$pes" "$nics" benches/peers/mpi-in-lab.sh "$meeting" "$@" "$work/alltoall" $((megabytes << 20)) 4
}
ob1() { peer "$@" --mca pml ob1 --mca btl tcp,vader,self; }
ucx() {
    peer "$@" --mca pml ucx --mca opal_common_ucx_tls any --mca opal_common_ucx_devices any -x UCX_MAX_RNDV_RAILS=4
}

# The same by a bare loop of fi_writedata, without signals, acknowledgements and PEs of the same node.
bare() { lab "$1" "$2" "$3" "$bench" all $((megabytes << 20)) "$chunk" 4; }

peers=(${bench:+bare})
if command -v mpirun >/dev/null && mpicc -O2 -o "$work/alltoall" benches/peers/alltoall.c 2>/dev/null; then
    peers+=(ob1 ucx)
else
    echo "Open MPI is not here (openmpi-bin, libopenmpi-dev): no comparison with it"
fi

# of_limit NODES PES NICS MICROSECONDS: of what each PE sends, the part for PEs of other nodes passes its NICs; in %.
of_limit() {
    local world=$(($1 * $2))
    awk "BEGIN { print ($megabytes * 1048576 * ($world - $2) / $world * 8 / ($3 * $rate)) / ($4 / 1e6) * 100 }"
}

# compare GOAL NODES PES NICS: NICs of each PE.
compare() {
    local goal=$1 us theirs way round
    shift
    for ((round = 0; round < rounds; round++)); do
        for way in alltoall "${peers[@]}"; do
            "$way" "$@" >>"$work/$way.us" || echo "$way on $1 x $2 did not end" >&2
        done
    done
    if ! us=$(median <"$work/alltoall.us"); then
        echo "lab: all-to-all, $1 nodes x $2 PEs x $3 NICs did not run"
        return
    fi
    row "lab: all-to-all, $1 nodes x $2 PEs x $3 NICs of $nic_rate" "$(of_limit "$@" "$us")" "%" "$goal"
    for way in "${peers[@]}"; do
        theirs=$(median <"$work/$way.us") || continue
        case $way in
            bare) row "    a bare loop of fi_writedata" "$(of_limit "$@" "$theirs")" "%" ;;
            *) row "    against MPI_Alltoall, Open MPI's $way" "$(awk "BEGIN { print $theirs / $us }")" "x" ">= 1.15" ;;
        esac
    done
    rm -f "$work"/*.us
}

# 4 NICs per node, and then 4 per PE: with 16 PEs that is 12.8 Gbit/s each way.
for nodes in 2 4; do
    for pes in 1 2 4; do
        compare ">= 97" "$nodes" "$pes" $((4 / pes))
    done
done
for nodes in 2 4; do
    for pes in 2 4; do
        compare ">= 97" "$nodes" "$pes" 4
    done
done
rate=1000000000 nic_rate=1gbit megabytes=128
for pes in 1 2 4; do
    compare ">= 95" 2 "$pes" $((4 / pes))
done

if [ -n "$bench" ]; then
    nic_rate=none
    ping() { lab 2 1 1 "$bench" pair "$1" ping-pong 8 10000 | awk '{ print $1 / 20000 / 1000 }'; }
    row "lab: 8 B bare fi_writedata, one way" "$(repeat ping bare | median)" "us"
    row "lab: 8 B put-signal, one way" "$(repeat ping ours | median)" "us" "<= 8"
fi
