#!/usr/bin/env bash
# The part of compare-peer.sh that runs in the VM: compare-peer-guest.sh RAILTOP RDMATOP TESTS_VM
set -euo pipefail
railtop=$1 peer=$2 vm=$3
nics=32
seconds=20
# More than the 300 samples that rdmatop keeps of each NIC, at its shortest interval of 0.2 s.
long=90
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
ticks_of() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
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
    for ((i = 0; i < 600; i++)); do
        tm capture-pane -p -t "$name" | grep -q 'rdmap0s0.*[1-9]' && break
        sleep 0.1
    done
    for key in $keys; do tm send-keys -t "$name" "$key"; done
    # Start-up is over, and so is what follows it.
    sleep 5
}

end() {
    tm capture-pane -p -t "$1" >"/tmp/$1.screen"
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}

# cost NAME KEYS COMMAND...: a row of what it costs a second.
cost() {
    local name=$1 cpu begun bytes calls time
    begin "$@"
    tm pipe-pane -t "$name" "cat >/tmp/$name.bytes"
    count_begin "$name" "$pid"
    cpu=$(ticks_of "$pid") begun=$(uptime_s)
    sleep "$seconds"
    calls=$(count_end "$name")
    cpu=$(($(ticks_of "$pid") - cpu)) time=$(awk -v a="$begun" -v b="$(uptime_s)" 'BEGIN { print b - a }')
    tm pipe-pane -t "$name"
    bytes=$(stat -c %s "/tmp/$name.bytes")
    awk -v what="${*:3}${2:+, keys $2}" -v calls="$calls" -v cpu="$cpu" -v time="$time" -v bytes="$bytes" 'BEGIN {
        printf "| `%s` | %.0f | %.1f | %.1f |\n", what, calls / time, cpu / time, bytes / time / 1000 }'
    end "$name"
}

# memory NAME KEYS COMMAND...: a row of what it holds at first and after more than 300 samples.
memory() {
    local name=$1 first
    begin "$@"
    first=$(memory_of "$pid")
    sleep "$long"
    echo "| \`${*:3}\` | $first | $(memory_of "$pid") |"
    end "$name"
}

echo "| $nics EFA NICs, all moving, 160x48, every second | system calls a second | CPU, % of a core (emulated) | kB/s to the terminal |"
echo "| --- | --- | --- | --- |"
cost sysfs '' ./railtop --source sysfs
cost netlink '' ./railtop --source netlink
cost auto '' ./railtop
cost peer '' ./rdmatop
python3 "$vm/hold_qps.py" 8 4 $(seq -f rdmap%gs0 0 $((nics - 1))) >/tmp/held 2>&1 &
for ((i = 0; i < 600; i++)); do grep -q ready /tmp/held && break; sleep 0.1; done
echo "| with 8 processes of 4 queue pairs on each | | | |"
cost sysfs-held '' ./railtop --source sysfs
cost auto-held '' ./railtop
cost auto-processes 3 ./railtop
cost peer-held '' ./rdmatop
echo
echo "| the same, every 0.2 s | RSS after 5 s, MB (anonymous) | after $long s more |"
echo "| --- | --- | --- |"
memory auto-long '' ./railtop -i 200ms
memory sysfs-long '' ./railtop -i 200ms --source sysfs
memory peer-long '< <' ./rdmatop
tm kill-server
for screen in auto peer-long; do
    echo
    echo "$screen:"
    head -n 12 "/tmp/$screen.screen"
done
