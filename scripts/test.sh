#!/usr/bin/env bash
# Every test, and then those that talk to libfabric once more with a libfabric 2.x.
#
# Ends with one line that sums up all of it: `N passed, N failed, N skipped`. A test that cannot do its work on this
# machine prints `skipped: reason` and returns; it counts as skipped, not as passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo=${CARGO:-cargo}
# A snapshot that differs is a failure, never an update.
export INSTA_UPDATE=no

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
broken=0
more_skipped=0

# One run of cargo test. Its log has the output of passing tests too, to find the skipped ones; the screen has not.
run() {
    local name=$1 status=0
    shift
    echo "== $name" >&2
    "$cargo" test --locked --workspace --no-fail-fast "$@" -- --show-output </dev/null |
        tee "$logs/$name.log" |
        sed -u -E '/^successes:$/,/^(failures:|test result: )/{/^(failures:|test result: )/b;d}' ||
        status=$?
    # A build error, or a test program that died, has no line of its own in the sum.
    if [ "$status" -ne 0 ] && ! grep -qE '^test result: FAILED' "$logs/$name.log"; then
        echo "$name: cargo test ended with status $status" >&2
        broken=$((broken + 1))
    fi
}

run "all"
if library=$(scripts/fetch-libfabric2.sh 2>"$logs/why"); then
    RAILTOP_LIBFABRIC=$library run "libfabric-2.5" --test transport --test operations --test moe --test matrix --test reopen --test loopback --test load
else
    echo "skipped: libfabric 2.5: $(tr '\n' ' ' <"$logs/why")" | tee "$logs/extra.skipped"
    more_skipped=1
fi

if nvrtc=$(scripts/fetch-nvrtc.sh 2>"$logs/why"); then
    LD_LIBRARY_PATH=${nvrtc%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} run "nvrtc" --test kernels
else
    echo "skipped: NVRTC: $(tr '\n' ' ' <"$logs/why")" | tee -a "$logs/extra.skipped"
    more_skipped=$((more_skipped + 1))
fi

# In a log, the output of each test follows a line `---- NAME stdout ----`.
awk -v broken="$broken" -v skipped="$more_skipped" '
    /^---- .* stdout ----$/ { inside = 1; next }
    /^(successes|failures):$/ { inside = 0 }
    /^skipped: / && inside { skipped++; inside = 0; why[$0]++ }
    /^test result: .* passed; .* failed; / {
        inside = 0
        for (i = 2; i <= NF; i++) {
            if ($i == "passed;") passed += $(i - 1)
            if ($i == "failed;") failed += $(i - 1)
        }
    }
    END {
        for (reason in why) {
            printf "%.200s (%d %s)\n", reason, why[reason], why[reason] == 1 ? "test" : "tests"
            ours += why[reason]
        }
        failed += broken
        printf "\n%d passed, %d failed, %d skipped\n", passed - ours, failed, skipped
        exit failed > 0
    }
' "$logs"/*.log
