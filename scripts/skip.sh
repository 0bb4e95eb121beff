# shellcheck shell=bash
# For scripts that check, to be sourced: one rule for what a check says when its tool is not there.
#
#   skip STATUS WHAT: REASON      STATUS: how the attempt to get the tool ended
#
# Says `skipped: …` on stderr. In CI that is an error, so that no check goes missing unseen; not so where there is no such tool
# for this kind of machine at all, which scripts/fetch-wheel.sh ends with status 3 for.
NO_SUCH_TOOL=3

skip() {
    local status=$1
    shift
    echo "skipped: $*" >&2
    may_skip "$status" || exit 1
}

# Whether it is no error here: for who goes on to other checks all the same, and fails at the end.
may_skip() {
    [ -z "${CI:-}" ] || [ "$1" -eq $NO_SUCH_TOOL ]
}
