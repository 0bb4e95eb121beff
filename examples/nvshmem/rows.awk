# From the tables of NVSHMEM's shmem_put_bw and alltoall_latency to the lines that `railtop report` reads.
#
#   awk -v policy='NVSHMEM 3.6.5' -v nodes=2 -v pes=16 -v command='alltoall_latency -b 16' -f rows.awk
#
# What the programs print: perftest/common/utils.cu and perftest/device in NVSHMEM's source. Everything that is no row of a
# table is skipped: banners, which every PE prints, and what libraries say.

# The size as it stands there: mawk's %d ends at 2^31 - 1.
function row(bench, rest) {
    printf "{\"type\":\"row\",\"bench\":\"%s\",\"initiator\":\"gpu\",\"policy\":\"%s\",\"size\":%s%s}\n", bench, policy, $1, rest
}

BEGIN {
    gsub(/["\\]/, "", command)
    gsub(/["\\\001-\037]/, "", policy)
    words = split(command, word, " ")
    for (i = 1; i <= words; i++) list = list (i > 1 ? "," : "") "\"" word[i] "\""
    printf "{\"type\":\"run\",\"policy\":\"%s\",\"nodes\":%d,\"pes\":%d,\"command\":[%s]}\n", policy, nodes, pes, list
}

# size(B)     scope     BW (GB/sec)
NF == 3 && $1 ~ /^[0-9]+$/ && $2 == "None" && $3 ~ /^[0-9.]+$/ {
    row("put", sprintf(",\"bw_gb_per_s\":%s", $3))
}

# size(B)     count     type      scope     latency(us)       algbw(GB/s)   busbw(GB/s)
NF == 7 && $1 ~ /^[0-9]+$/ && $3 ~ /^(32|64)-bit$/ && $5 ~ /^[0-9.]+$/ {
    row("alltoall", sprintf(",\"scope\":\"%s\",\"bits\":%d,\"latency_us\":%s,\"algbw_gb_per_s\":%s,\"busbw_gb_per_s\":%s", \
        $4, $3, $5, $6, $7))
}
