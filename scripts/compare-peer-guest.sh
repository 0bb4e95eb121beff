#!/usr/bin/env bash
# The part of compare-peer.sh that runs in the VM: compare-peer-guest.sh RAILTOP RDMATOP TESTS_VM PART
set -euo pipefail
railtop=$1 peer=$2 vm=$3 part=$4
nics=32
# At least one of each kind of look that railtop does not make at every tick.
seconds=11
# shellcheck source=tests/vm/count.sh
source "$vm/count.sh"

devices=
for ((i = 0; i < nics; i++)); do devices+=${devices:+,}rdmap${i}s0:efa; done
insmod /job/mockrdma.ko devices="$devices"
# Every NIC moves: 90 Gb/s each way, in bytes per second.
for counter in /sys/kernel/debug/mockrdma/*/port/{tx,rx}_bytes.per_s; do echo 11250000000 >"$counter"; done
for counter in /sys/kernel/debug/mockrdma/*/port/{tx,rx}_pkts.per_s; do echo 1400000 >"$counter"; done
# From memory: the host's files come slowly.
cp "$railtop" /tmp/railtop
cp "$peer" /tmp/rdmatop
cd /tmp

tm() { tmux -S /tmp/tmux -f /dev/null "$@"; }
cpu_of() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
uptime_s() { cut -d' ' -f1 /proc/uptime; }
# Resident memory, and the part of it that is the process's own and not the file of the program or a library, in MB.
memory_of() { awk '/^VmRSS/ { all = $2 } /^RssAnon/ { own = $2 } END { printf "%.1f (%.1f)", all / 1024, own / 1024 }' "/proc/$1/status"; }

# So that the server outlives the sessions.
tm new-session -d -s keep 'sleep 3600'

# begin NAME KEYS COMMAND...: starts it, waits until NICs have rates, presses keys; its process is in `pid` then.
begin() {
    local name=$1 keys=$2 key
    shift 2
    tm new-session -d -x 160 -y 48 -s "$name" "exec $*"
    pid=$(tm list-panes -t "$name" -F '#{pane_pid}')
    for ((i = 0; i < 60; i++)); do
        tm capture-pane -p -t "$name" | grep -q 'rdmap0s0.* [1-9][0-9.]* ' && break
        sleep 0.5
    done
    for key in $keys; do tm send-keys -t "$name" "$key"; done
    # Start-up is over, and so is what follows it.
    sleep 4
}

# Whether a process has ended: tmux leaves it a zombie for a while.
has_ended() { ! grep '^State:' "/proc/$1/status" 2>/dev/null | grep -qv Z; }

end() { # NAME PID
    tm capture-pane -p -t "$1" >"/tmp/$1.screen"
    kill -TERM "$2"
    for ((i = 0; i < 20; i++)); do
        has_ended "$2" && return 0
        sleep 0.5
    done
    echo "$1 does not end" >&2
    kill -KILL "$2"
}

# cost NAME KEYS COMMAND...: a row of what it costs a second. railtop's ticks are counted; of rdmatop they are not known,
# and those that it leaves out on a busy machine make it look cheaper.
cost() {
    local name=$1 cpu begun bytes calls time ticks
    begin "$@"
    tm pipe-pane -t "$name" "cat >/tmp/$name.bytes"
    count_begin "$name" "$pid"
    cpu=$(cpu_of "$pid") begun=$(uptime_s)
    sleep "$seconds"
    cpu=$(($(cpu_of "$pid") - cpu)) time=$(awk -v a="$begun" -v b="$(uptime_s)" 'BEGIN { print b - a }')
    calls=$(count_end "$name") ticks=$(ticks_of "$name")
    tm pipe-pane -t "$name"
    bytes=$(stat -c %s "/tmp/$name.bytes")
    [ "$ticks" -gt 0 ] || ticks=$time
    awk -v what="${*:3}${2:+, key $2}" -v calls="$calls" -v ticks="$ticks" -v cpu="$cpu" -v time="$time" -v bytes="$bytes" '
        BEGIN { printf "| `%s` | %.0f | %.1f | %.1f |\n", what, calls / ticks, cpu / time, bytes / time / 1000 }'
    end "$name" "$pid"
}

costs() {
    echo "| $nics EFA NICs, all moving, 160x48, every second | system calls a tick | CPU, % of a core (emulated) | kB/s to the terminal |"
    echo "| --- | --- | --- | --- |"
    cost sysfs '' ./railtop --source sysfs
    cost netlink '' ./railtop --source netlink
    cost auto '' ./railtop
    cost peer '' ./rdmatop
    # shellcheck disable=SC2046 # names
    python3 "$vm/hold_qps.py" 8 4 $(seq -f rdmap%gs0 0 $((nics - 1))) >/tmp/held 2>&1 &
    local held=$!
    for ((i = 0; i < 120; i++)); do
        grep -q ready /tmp/held && break
        sleep 0.5
    done
    echo "| with 8 processes of 4 queue pairs on each | | | |"
    cost auto-held '' ./railtop
    cost auto-processes 3 ./railtop
    cost peer-held '' ./rdmatop
    kill "$held"
    for screen in auto peer; do
        echo
        echo "$screen:"
        head -n 12 "/tmp/$screen.screen"
    done
}

# Both at once, from their first moment on, so that they are as old: that changes how long they take, not what they hold.
memory() {
    local ages=(5 30 60 120 180 240 360) age
    local started theirs ours row
    started=$(uptime_s)
    tm new-session -d -x 160 -y 48 -s ours 'exec ./railtop'
    tm new-session -d -x 160 -y 48 -s theirs 'exec ./rdmatop'
    ours=$(tm list-panes -t ours -F '#{pane_pid}') theirs=$(tm list-panes -t theirs -F '#{pane_pid}')
    echo "| age, every second | \`railtop\`: RSS, MB (anonymous) | \`rdmatop\` |"
    echo "| --- | --- | --- |"
    for age in "${ages[@]}"; do
        sleep "$(awk -v from="$started" -v now="$(uptime_s)" -v age="$age" 'BEGIN { left = from + age - now; print (left > 0 ? left : 0) }')"
        row="| $age s | $(memory_of "$ours") | $(memory_of "$theirs") |"
        echo "$row"
    done
    end ours "$ours"
    end theirs "$theirs"
    for screen in ours theirs; do
        echo
        echo "$screen:"
        head -n 12 "/tmp/$screen.screen"
    done
}

case $part in
    all)
        costs
        memory
        ;;
    costs) costs ;;
    memory) memory ;;
esac
tm kill-server
