# From the table of pplx-kernels' bench_all_to_all to the lines that `railtop report` reads.
#
#   awk -v policy='NVSHMEM 3.6.5' -v nodes=2 -v pes=16 -v command='bench_all_to_all' -f rows.awk
#
# The table has tabs between its columns (tests/bench_all_to_all.py): E, E/tok, tok, dim, and then a latency (12.3μs ± 1.2μs), a
# bandwidth (1.234GB/s) and a number of bytes for each of dispatch, combine, torch's all-to-all and NVSHMEM's.

BEGIN {
    FS = "\t"
    gsub(/["\\]/, "", command)
    gsub(/["\\\001-\037]/, "", policy)
    words = split(command, word, " ")
    for (i = 1; i <= words; i++) list = list (i > 1 ? "," : "") "\"" word[i] "\""
    printf "{\"type\":\"run\",\"policy\":\"%s\",\"nodes\":%d,\"pes\":%d,\"command\":[%s]}\n", policy, nodes, pes, list
    phase[1] = "dispatch"; phase[2] = "combine"; phase[3] = "torch"; phase[4] = "alltoall"
}

NF == 16 && $1 ~ /^ *[0-9]+ *$/ && $3 ~ /^ *[0-9]+ *$/ {
    for (i = 1; i <= 4; i++) {
        # awk takes a text for the number that it begins with.
        at = 5 + 3 * (i - 1)
        latency = $at + 0; rate = $(at + 1) + 0; bytes = $(at + 2) + 0
        if (bytes > 0 && latency > 0) {
            printf "{\"type\":\"row\",\"bench\":\"moe\",\"phase\":\"%s\",\"initiator\":\"gpu\",\"policy\":\"%s\",", phase[i], policy
            printf "\"experts\":%d,\"topk\":%d,\"tokens\":%d,\"dim\":%d,", $1, $2, $3, $4
            # mawk's %d ends at 2^31 - 1, and %s of a number has 6 digits.
            printf "\"size\":%.0f,\"latency_us\":%.4f,\"bw_gb_per_s\":%.3f}\n", bytes, latency, rate
        }
    }
}
