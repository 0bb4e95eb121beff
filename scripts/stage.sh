#!/usr/bin/env bash
# Puts into a directory what every package has: the program without debugging information, its man pages, completions for shells, and
# the licences of what it is linked with.
#
#   scripts/stage.sh PROGRAM DIR      PROGRAM must run on this machine
set -euo pipefail

program=$1 dir=$2
mkdir -p "$dir"/{man,completions}
strip -o "$dir/railtop" "$program"
"$dir/railtop" --generate-man="$dir/man"
"$dir/railtop" --generate-completions bash >"$dir/completions/railtop.bash"
"$dir/railtop" --generate-completions zsh >"$dir/completions/_railtop"
"$dir/railtop" --generate-completions fish >"$dir/completions/railtop.fish"
"$(dirname "${BASH_SOURCE[0]}")/third-party.py" >"$dir/third-party-licenses.txt"
