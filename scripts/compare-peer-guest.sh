#!/usr/bin/env bash
# The part of compare-peer.sh that runs in the VM: compare-peer-guest.sh RAILTOP RDMATOP
set -euo pipefail
railtop=$1 peer=$2
nics=32
seconds=20

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
pid_of() { tm list-panes -t "$1" -F '#{pane_pid}'; }
ticks_of() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

# System calls of all threads of a process within `seconds`. The kernel counts them: strace would slow the program down
# so much, under emulation, that ticks are left out.
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null || true
enter=/sys/kernel/tracing/events/raw_syscalls/sys_enter
calls_of() {
    echo 'hist:keys=common_pid:size=4096' >"$enter/trigger"
    sleep "$seconds"
    # Threads that ended meanwhile are missing; neither program's come and go.
    awk -v threads="$(ls "/proc/$1/task" | tr '\n' ' ')" '
        BEGIN { n = split(threads, list, " "); for (i = 1; i <= n; i++) ours[list[i]] = 1 }
        $2 == "common_pid:" && $3 in ours { sum += $NF }
        END { print sum + 0 }' "$enter/hist"
    echo '!hist:keys=common_pid:size=4096' >"$enter/trigger"
}

# So that the server outlives the sessions.
tm new-session -d -s keep 'sleep 3600'

measure() {
    local name=$1 pid begin end before after bytes rss calls
    shift
    tm new-session -d -x 160 -y 48 -s "$name" "exec $*"
    pid=$(pid_of "$name")
    for ((i = 0; i < 600; i++)); do
        tm capture-pane -p -t "$name" | grep -q 'rdmap0s0.*[1-9]' && break
        sleep 0.1
    done
    # Start-up is over, and so is what follows it.
    sleep 10
    rm -f "/tmp/$name.bytes"
    tm pipe-pane -t "$name" "cat >/tmp/$name.bytes"
    before=$(ticks_of "$pid")
    begin=$(cut -d' ' -f1 /proc/uptime)
    sleep "$seconds"
    after=$(ticks_of "$pid")
    end=$(cut -d' ' -f1 /proc/uptime)
    tm pipe-pane -t "$name"
    bytes=$(stat -c %s "/tmp/$name.bytes")
    rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
    calls=$(calls_of "$pid")
    awk -v name="$*" -v cpu="$((after - before))" -v begin="$begin" -v end="$end" -v bytes="$bytes" -v rss="$rss" \
        -v calls="$calls" -v seconds="$seconds" 'BEGIN {
            printf "| `%s` | %.0f | %.1f | %.1f | %.1f |\n", name, calls / seconds, cpu / (end - begin), rss / 1024,
                bytes / (end - begin) / 1000 }'
    tm capture-pane -p -t "$name" >"/tmp/$name.screen"
    kill -TERM "$pid"
}

echo "| $nics EFA NICs, all moving, 160x48, every second | system calls a second | CPU, % of a core (emulated) | RSS, MB | kB/s to the terminal |"
echo "| --- | --- | --- | --- | --- |"
measure sysfs ./railtop --source sysfs
measure netlink ./railtop --source netlink
measure auto ./railtop
measure peer ./rdmatop
tm kill-server
for screen in auto peer; do
    echo
    echo "$screen:"
    head -n 12 "/tmp/$screen.screen"
done
