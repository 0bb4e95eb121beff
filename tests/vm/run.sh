#!/usr/bin/env bash
# Runs one command in a test VM of its own, for work by hand: run.sh [-n RXE_DEVICES] [-t SECONDS] COMMAND...
#
# The guest has the host's files (what it writes to them is lost) with the same paths, so a program that was built here
# runs there. /job/mockrdma.ko is there to be loaded. Output, errors and exit status are the command's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
devices=0 seconds=120
while getopts n:t: option; do
    case $option in
        n) devices=$OPTARG ;;
        t) seconds=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || {
    sed -n '2p' "$0" >&2
    exit 2
}

declare -A part
while IFS='=' read -r name file; do part[$name]=$file; done < <("$here/prepare.sh")
[ -n "${part[mockrdma]:-}" ] || exit 1

job=$(mktemp -d)
qemu=
# shellcheck disable=SC2317,SC2329 # called by the trap
clean() {
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
    rm -rf "$job"
}
trap clean EXIT
cp "${part[mockrdma]}" "$job/mockrdma.ko"
{
    cat "$here/rxe.sh"
    echo "rxe_pairs $devices"
    printf '%q ' "$@"
    echo
} >"$job/once.sh"
echo "$seconds" >"$job/once.seconds"
"$here/boot.sh" "${part[kernel]}" "${part[initramfs]}" "$job" </dev/null &
qemu=$!
wait "$qemu" || true
qemu=
cat "$job/once.out" 2>/dev/null || true
cat "$job/once.err" >&2 2>/dev/null || true
if [ ! -s "$job/once.status" ]; then
    echo "the VM failed:" >&2
    tail -n 15 "$job/console" "$job/qemu.log" >&2
    exit 1
fi
exit "$(<"$job/once.status")"
