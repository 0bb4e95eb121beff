# shellcheck shell=bash
# Sourced in the test VM: counts a program's system calls in the kernel, all its threads and what they start. strace would
# slow the program down so much, under emulation, that ticks are left out.
#
# Each program has a tracing instance of its own, which follows it through threads that come and go.
tracing=/sys/kernel/tracing

# count_begin NAME PID
count_begin() {
    local instance=$tracing/instances/$1 thread
    mountpoint -q $tracing || mount -t tracefs tracefs $tracing || return
    mkdir "$instance" || return
    echo 1 >"$instance/options/event-fork"
    for thread in "/proc/$2"/task/*; do echo "${thread##*/}" >>"$instance/set_event_pid"; done
    echo 'hist:keys=id.syscall:size=1024' >"$instance/events/raw_syscalls/sys_enter/trigger"
}

# count_end NAME: prints how many there were, and by call, into /tmp/NAME.calls.
count_end() {
    local instance=$tracing/instances/$1
    cp "$instance/events/raw_syscalls/sys_enter/hist" "/tmp/$1.calls"
    echo '!hist:keys=id.syscall' >"$instance/events/raw_syscalls/sys_enter/trigger"
    rmdir "$instance"
    awk '$1 == "Hits:" { print $2 }' "/tmp/$1.calls"
}
