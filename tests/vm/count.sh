# shellcheck shell=bash
# Sourced in the test VM: counts a program's system calls in the kernel, all its threads and what they start. strace would
# slow the program down so much, under emulation, that ticks are left out.
#
# Each program has a tracing instance of its own, which follows it through threads that come and go.
tracing=/sys/kernel/tracing

# count_begin NAME PID
count_begin() {
    local instance=$tracing/instances/$1 threads
    mountpoint -q $tracing || mount -t tracefs tracefs $tracing || return
    mkdir "$instance" || return
    echo 1 >"$instance/options/event-fork"
    threads=("/proc/$2"/task/*)
    echo "${threads[*]##*/}" >"$instance/set_event_pid"
    echo 'hist:keys=common_pid.execname,id.syscall:size=2048' >"$instance/events/raw_syscalls/sys_enter/trigger"
}

# count_end NAME: prints how many there were, and by thread and call, into /tmp/NAME.calls.
count_end() {
    local instance=$tracing/instances/$1
    cp "$instance/events/raw_syscalls/sys_enter/hist" "/tmp/$1.calls" || return
    echo '!hist:keys=common_pid.execname,id.syscall' >"$instance/events/raw_syscalls/sys_enter/trigger"
    rmdir "$instance"
    awk '$1 == "Hits:" { hits = $2 } $1 == "Dropped:" { lost = $2 } END { print hits; exit lost != 0 }' "/tmp/$1.calls"
}

# calls_of NAME THREADS CALLS: how many of them were these calls, by threads of this name (both extended regular
# expressions). Its lines are `{ common_pid: THREAD [ PID], id: sys_CALL [ NUMBER] } hitcount: COUNT`.
calls_of() {
    awk -v threads="^($2)$" -v calls="^sys_($3)$" '
        $2 == "common_pid:" {
            call = $0
            sub(/.* id: /, "", call)
            sub(/ .*/, "", call)
            if ($3 ~ threads && call ~ calls) sum += $NF
        }
        END { print sum + 0 }' "/tmp/$1.calls"
}

# ticks_of NAME: how many ticks railtop's screen had meanwhile: its sampler wakes it once for each, by the only bytes that
# this thread ever sends.
ticks_of() { calls_of "$1" sampler 'sendto|write'; }
