#!/usr/bin/env bash
# What railtop is made of: licences, sources, versions (deny.toml), and whether anything is known against it.
#
#   scripts/deny.sh [CONFIG]      the rules, if not deny.toml
#
# Known vulnerabilities are in a git repository, https://github.com/RustSec/advisory-db. Where that cannot be reached, this part says
# `skipped: …`, and all else is checked; with RAILTOP_ADVISORIES=required that is an error. Without cargo-deny nothing is checked
# (scripts/skip.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

config=${1:-deny.toml}

. scripts/skip.sh

deny=$(scripts/fetch-cargo-deny.sh 2>&1) || {
    skip $? "licences, sources and versions of dependencies: no cargo-deny: $deny"
    exit 0
}
check() {
    "$deny" --locked --workspace --config "$config" --color never "$@"
}
# Of two versions of a crate one line is enough; an error is told whole.
check check --hide-inclusion-graph licenses bans sources 2>&1 |
    awk '/^(error|warning)/ { whole = !/^warning\[duplicate\]/; if (!whole) print } !/^$/ && (whole || / ok(,|$)/)'

# One line is the reason; what git and cargo-deny say further is about how it tried.
if why=$(GIT_TERMINAL_PROMPT=0 timeout 120 "$deny" --locked --config "$config" --color never fetch db 2>&1 </dev/null); then
    check check advisories
else
    why=$(grep -m 1 -E '^(fatal|error): ' <<<"$why" || grep -m 1 ERROR <<<"$why" || echo "no answer within two minutes")
    echo "skipped: known vulnerabilities of dependencies: $why" >&2
    [ -z "${RAILTOP_ADVISORIES:-}" ] || exit 1
fi
