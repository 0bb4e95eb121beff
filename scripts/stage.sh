#!/usr/bin/env bash
# Puts into a directory what every package has: the program without debugging information, its man pages, completions for shells, and
# the licences of what it is linked with.
#
#   scripts/stage.sh PROGRAM DIR [TARGET]      PROGRAM must run on this machine; TARGET: what it was built for, if not its own kind
set -euo pipefail

program=$1 dir=$2
mkdir -p "$dir"/{man,completions}
strip -o "$dir/railtop" "$program"
"$dir/railtop" --generate-man="$dir/man"
"$dir/railtop" --generate-completions bash >"$dir/completions/railtop.bash"
"$dir/railtop" --generate-completions zsh >"$dir/completions/_railtop"
"$dir/railtop" --generate-completions fish >"$dir/completions/railtop.fish"
"$(dirname "${BASH_SOURCE[0]}")/third-party.py" "${@:3:1}" >"$dir/third-party-licenses.txt"
