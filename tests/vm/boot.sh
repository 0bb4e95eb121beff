#!/usr/bin/env bash
# Becomes the test VM: boot.sh KERNEL INITRAMFS JOB
#
# JOB is shared with the guest at /job; its console goes to JOB/console. If stdin is a socket, it becomes the guest's
# serial port for commands (see agent.sh). Ends when the guest powers off, when it gets a signal, and when
# whoever started it dies.
#
# By emulation (TCG), not KVM: it is the same everywhere, and needs no rights. The reasons for the odd flags: without
# hardware for them, probing the keyboard and further serial ports takes a second; `-cpu max` has what zstd and crc32 want.
set -euo pipefail
kernel=$1 initramfs=$2 job=$3

cp "$(dirname "${BASH_SOURCE[0]}")/agent.sh" "$job/"
console=(console=ttyS0 quiet 8250.nr_uarts=1 i8042.noaux i8042.nokbd)
quick=(tsc=reliable no_timer_check mitigations=off apparmor=0 audit=0 rcupdate.rcu_expedited=1)
# A panic ends the machine.
append="panic=-1 ${console[*]} ${quick[*]}"
channel=()
if [ -S /dev/stdin ]; then
    channel=(-device virtio-serial-pci -chardev "socket,id=channel,fd=0"
        -device "virtserialport,chardev=channel,name=railtop")
fi
exec setpriv --pdeathsig KILL qemu-system-x86_64 \
    -accel tcg,thread=multi -cpu max -smp "${RAILTOP_VM_CPUS:-2}" -m "${RAILTOP_VM_MEMORY:-1536}" \
    -nodefaults -display none -no-reboot -serial "file:$job/console" \
    -kernel "$kernel" -initrd "$initramfs" -append "$append" \
    -virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap \
    -virtfs "local,path=$job,mount_tag=job,security_model=none" \
    "${channel[@]}" >"$job/qemu.log" 2>&1
