# shellcheck shell=bash
# Put in front of every script that the test runs in its VM.
set -u
mock=/sys/kernel/debug/mockrdma
: "$mock"

# use_mock NAME:PROFILE,...: devices without hardware, instead of those that were there.
use_mock() {
    if [ -d /sys/module/mockrdma ]; then rmmod mockrdma || return; fi
    [ -z "$1" ] || insmod /job/mockrdma.ko devices="$1"
}

# until_true SECONDS COMMAND...: waits for the command to succeed.
until_true() {
    local left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $((left--)) -gt 0 ] || {
            echo "never true: $*" >&2
            return 1
        }
        sleep 0.05
    done
}

# What the kernel itself has counted: hw FILE of DEVICE, and statistics of a network interface.
hw() { cat "/sys/class/infiniband/$1/ports/1/hw_counters/$2"; }
net() { cat "/sys/class/net/$1/statistics/$2"; }

# log_begin ARGUMENTS...: railtop's log from now on, into a file; returns when every device has answered twice, so that
# there are rates. On a busy host, under emulation, the first answers can be late.
log_begin() {
    railtop log --format jsonl "$@" >/tmp/log 2>/tmp/log.err &
    log=$!
    log_ticks 2 || return
    while grep "$(tail -n 1 /tmp/log | grep -o '"ts":"[^"]*"')" /tmp/log | grep -qE '"(stale|new)"'; do
        log_ticks 1 || return
    done
    begun=$(grep -c '' /tmp/log)
}

# How many ticks the log has: its records of one tick have the same time.
log_length() { awk -F '"' '$2 == "ts" && $4 != last { last = $4; n++ } END { print n + 0 }' /tmp/log; }

# log_ticks COUNT: waits for that many more.
log_ticks() {
    local wanted=$(($(log_length) + $1)) left=3000
    until [ "$(log_length)" -ge "$wanted" ]; do
        if [ $((left--)) -le 0 ] || ! kill -0 "$log"; then
            echo "the log stands still:" >&2
            cat /tmp/log.err >&2
            return 1
        fi
        sleep 0.1
    done
}

# log_until PATTERN: waits for a record with it, and for the tick after.
log_until() {
    local left=3000
    until tail -n +$((begun + 1)) /tmp/log | grep -q "$1"; do
        if [ $((left--)) -le 0 ]; then
            echo "no record with $1 in the log" >&2
            return 1
        fi
        sleep 0.1
    done
    log_ticks 1
}

# Ends the log and prints it, from where log_begin returned. (What a script runs in the background ignores SIGINT.)
log_end() {
    kill -TERM "$log"
    wait "$log" || return
    cat /tmp/log.err >&2
    tail -n +$((begun + 1)) /tmp/log
}

# screen_begin ARGUMENTS...: railtop on a terminal of its own; what it leaves there can be looked at after its end.
screen() { tmux -f /dev/null -S /tmp/screen "$@"; }
screen_begin() {
    screen kill-server 2>/dev/null
    screen new-session -d -x 120 -y 40 "railtop $*; echo ended with \$?; exec sleep 1000"
}

# screen_until PATTERN: waits for a line like that.
screen_until() {
    local end=$((SECONDS + 120))
    until screen capture-pane -p | grep -qE "$1"; do
        if [ $SECONDS -ge $end ]; then
            echo "no $1 on the screen:" >&2
            screen capture-pane -p >&2
            return 1
        fi
        sleep 0.1
    done
}

# The process on the screen.
screen_pid() { pgrep -P "$(screen display-message -p '#{pane_pid}')" -x railtop; }

# screen_agrees: whether the list on the screen has the RDMA devices that the kernel has now, no others, and the word for
# those whose port is down. Prints both lists; the screen's has `gone` behind the name of a device that it remembers.
screen_agrees() {
    local device state down shown there
    shown=$(screen capture-pane -p | sed -nE 's/^[^a-z]*((rxe|rdmap)[a-z0-9]+)( +(link DOWN|gone))?.*/\1 \4/p' | sort)
    there=$(for device in /sys/class/infiniband/*; do
        state=$(<"$device/ports/1/state") down=
        if [ "${state#*: }" = DOWN ]; then down='link DOWN'; fi
        echo "${device##*/} $down"
    done | sort)
    printf 'screen:\n%s\nkernel:\n%s\n' "$shown" "$there"
    [ "$(grep -v ' gone$' <<<"$shown")" = "$there" ]
}
