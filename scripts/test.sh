#!/usr/bin/env bash
# Every test, and then those that talk to libfabric once more with a libfabric 2.x.
#
# Some of the test programs run beside the others: a Slurm and an installed package are what they wait for most of
# the time, and what counts instructions or tries every order of a few threads' steps has no clock. What they print comes when
# they have ended.
#
# Ends with one line that sums up all of it: `N passed, N failed, N skipped`. A test that cannot do its work on this
# machine prints `skipped: reason` and returns; it counts as skipped, not as passed. So do those for which a library is fetched
# that cannot be had; in CI that is a failure (scripts/skip.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/skip.sh

# In the background of a script Ctrl-C is ignored from the start, also by all programs that tests start and send it to; no shell can
# undo that for itself.
ignored=$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status)
if ((0x$ignored & 2)) && env --default-signal=INT,QUIT true 2>/dev/null; then
    exec env --default-signal=INT,QUIT scripts/test.sh "$@"
fi

cargo=${CARGO:-cargo}
# A snapshot that differs is a failure, never an update.
export INSTA_UPDATE=no

beside=(packages slurm instructions models)

logs=$(mktemp -d)
end() {
    local jobs
    mapfile -t jobs < <(jobs -p)
    # Each with all that it has started.
    [ ${#jobs[@]} -eq 0 ] || kill -- "${jobs[@]/#/-}" 2>/dev/null || true
    rm -rf "$logs"
}
trap end EXIT

# What tests fetch is fetched while they are built. It is there or it is not: tests say what they miss.
ahead() {
    for script in tests/vm/prepare.sh scripts/fetch-{libfabric2,nvrtc,viztracer,cargo-deny,cargo-deb}.sh; do
        "$script" >/dev/null 2>&1 </dev/null || true
    done
}
# In the background and as a person's job: otherwise Ctrl-C is ignored there, which tests send.
set -m
ahead &
set +m

filter=()

# A failure that is no test's: said now, and once more beside the sum.
broken() {
    echo "$1: $2" | tee "$logs/$1.broken" >&2
}

# A library that cannot be had: how the attempt ended, what it is, and why.
missing() {
    local status=$1 library=$2 why=$3
    if may_skip "$status"; then
        echo "skipped: $library: $why" | tee "$logs/$library.skipped"
    else
        broken "$library" "$why"
    fi
}

# One run of cargo test. Its log has the output of passing tests too, to find the skipped ones; the screen has not.
run() {
    local name=$1 status=0
    shift
    echo "== $name" >&2
    "$cargo" test --locked --workspace --no-fail-fast "$@" -- --show-output "${filter[@]}" </dev/null |
        tee "$logs/$name.log" |
        sed -u -E '/^successes:$/,/^(failures:|test result: )/{/^(failures:|test result: )/b;d}' ||
        status=$?
    # A build error, or a test program that died, has no line of its own in the sum.
    if [ "$status" -ne 0 ] && ! grep -qE '^test result: FAILED' "$logs/$name.log"; then
        broken "$name" "cargo test ended with status $status"
    fi
}

# A build error is said once, and nothing else then.
if ! "$cargo" test --locked --workspace --no-run </dev/null; then
    printf '\n0 passed, 1 failed, 0 skipped\n'
    exit 1
fi
if ! names=$("$cargo" test --locked --quiet --workspace "${beside[@]/#/--test=}" -- --list --format terse </dev/null); then
    printf '\n0 passed, 1 failed, 0 skipped\n'
    exit 1
fi
mapfile -t names < <(sed -n 's/: test$//p' <<<"$names")

set -m
{
    # The others are measured by clocks of their own, a virtual machine's for one: they come first.
    renice -n 10 -p "$BASHPID" >/dev/null
    run "beside" "${beside[@]/#/--test=}"
} >"$logs/beside.screen" 2>&1 &
set +m
running=$!
filter=(--exact "${names[@]/#/--skip=}")
run "all"
filter=()
# What was left out is what runs beside, and no test of the same name.
left_out=$(awk '
    # Tests may print results of their own.
    /^---- .* stdout ----$/ { inside = 1 }
    /^(successes|failures):$/ { inside = 0 }
    !inside && /^test result: / { for (i = 2; i <= NF; i++) if ($i == "filtered") n += $(i - 1) }
    END { print n + 0 }
' "$logs/all.log")
if [ "$left_out" -ne "${#names[@]}" ]; then
    broken left-out "$left_out tests were left out, and ${#names[@]} run beside"
fi
if library=$(scripts/fetch-libfabric2.sh 2>"$logs/why"); then
    RAILTOP_LIBFABRIC=$library run "libfabric-2.5" \
        --test transport --test operations --test skew --test moe --test matrix --test reopen --test loopback --test load
    filter=(failover::)
    RAILTOP_LIBFABRIC=$library run "failover-2.5" --test e2e
    filter=()
else
    missing $? "libfabric 2.5" "$(tr '\n' ' ' <"$logs/why")"
fi

if nvrtc=$(scripts/fetch-nvrtc.sh 2>"$logs/why"); then
    LD_LIBRARY_PATH=${nvrtc%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} run "nvrtc" --test kernels
else
    missing $? "NVRTC" "$(tr '\n' ' ' <"$logs/why")"
fi
wait "$running" || broken beside "what ran beside the others ended with status $?"
cat "$logs/beside.screen"

find "$logs" -name '*.broken' -exec cat {} +

# Those of the whole that there is no test for.
count() { find "$logs" -name "*.$1" | wc -l; }

# In a log, the output of each test follows a line `---- NAME stdout ----`.
awk -v broken="$(count broken)" -v skipped="$(count skipped)" '
    /^---- .* stdout ----$/ { inside = 1; next }
    /^(successes|failures):$/ { inside = 0 }
    /^skipped: / && inside { skipped++; inside = 0; why[$0]++ }
    !inside && /^test result: .* passed; .* failed; / {
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
