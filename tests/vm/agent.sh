#!/usr/bin/env bash
# Runs in the test VM, and runs there what the host asks for.
#
# On the virtual serial port `railtop` the host sends lines `NUMBER SECONDS`; each runs /job/NUMBER.sh, at most that long,
# with its output in /job/NUMBER.{out,err}, and is answered with `NUMBER STATUS`. When the host closes the port, or is
# gone, the machine powers off. With /job/once.sh there, that alone is run, and its status goes to /job/once.status.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=xterm-256color LANG=C.UTF-8 TMUX_TMPDIR=/run
ulimit -l unlimited
hostname railtop-vm
ip link set lo up
cd /tmp || exit

run() { # NAME SECONDS
    setsid timeout -k 3 "$2" bash "/job/$1.sh" </dev/null >"/job/$1.out" 2>"/job/$1.err"
}

if [ -e /job/once.sh ]; then
    run once "$(cat /job/once.seconds)"
    echo $? >/job/once.status
else
    # Its number depends on the order of the devices.
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" = railtop ] && exec 3<>"/dev/${port##*/}"
    done
    echo ready >&3
    while read -r name seconds <&3; do
        run "$name" "$seconds"
        echo "$name $?" >&3
    done
fi
sync
/bin/busybox poweroff -f
