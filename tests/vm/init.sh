#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the test VM: modules, then the host's file system with everything written going to memory, then
# the agent in it. Shared from the host: `hostroot`, its root, read-only; `job`, a directory of this run, at /job.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
    $b insmod "/modules/$module" || echo "railtop-vm: no $module"
done </modules/order

p9=trans=virtio,version=9p2000.L,msize=512000
mount_all() {
    $b mount -t 9p -o "$p9,ro,cache=loose" hostroot /host &&
        $b mount -t tmpfs writable /writable &&
        $b mkdir -p /writable/upper/job /writable/work &&
        $b mount -t overlay -o lowerdir=/host,upperdir=/writable/upper,workdir=/writable/work root /new &&
        $b mount -t 9p -o "$p9,rw" job /new/job
}
if ! mount_all; then
    echo "railtop-vm: the host's files cannot be mounted"
    $b poweroff -f
fi
for dir in proc sys dev; do $b mount --move /$dir /new/$dir; done
$b mkdir -p /new/dev/pts /new/dev/shm
$b mount -t devpts devpts /new/dev/pts
$b mount -t tmpfs shm /new/dev/shm
$b mount -t tmpfs run /new/run
$b mount -t tmpfs tmp /new/tmp
$b mount -t debugfs debugfs /new/sys/kernel/debug
exec $b chroot /new /bin/bash /job/agent.sh
