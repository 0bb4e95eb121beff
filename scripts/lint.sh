#!/usr/bin/env bash
# What a change must be clean of before its tests are worth running. Every warning is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo=${CARGO:-cargo}
for tool in fmt clippy; do
    if ! "$cargo" "$tool" --version >/dev/null 2>&1; then
        echo "cargo $tool is missing: rustup component add rustfmt clippy" >&2
        exit 1
    fi
done

"$cargo" fmt --all --check
"$cargo" clippy --workspace --all-targets --locked -- -D warnings
RUSTDOCFLAGS="-D warnings" "$cargo" doc --workspace --no-deps --document-private-items --locked

scripts=(
    scripts/*.sh tests/packages/*.sh benches/peers/*.sh tests/vm/*.sh tests/gpu/*.sh tests/slurm/*.sh .ci/run
    examples/*/*.sh examples/*/*.sbatch
)
for script in "${scripts[@]}"; do
    bash -n "$script"
done
# Where nothing can be installed it may be missing.
if command -v shellcheck >/dev/null 2>&1; then
    shellcheck "${scripts[@]}"
fi

for script in scripts/*.py; do
    python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script"
done

scripts/deny.sh
