#!/usr/bin/env bash
# Makes what the test VM boots, in a cache outside the tree, and prints where it lies:
#
#   kernel=FILE      Debian's own kernel, unpacked
#   initramfs=FILE   busybox, the modules for RDMA, and init.sh
#   mockrdma=FILE    the module with devices that have no hardware, compiled from mockrdma/
#
# The first run downloads the kernel and its headers (some 120 MB) and takes half a minute; later ones only look.
# Exit 3: it cannot be had here, and stderr says why in one line. Exit 1: something is broken.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${RAILTOP_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/railtop-vm}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Modules of the guest; what is built in or unknown to this kernel is left out. rxe asks the crypto layer for crc32,
# which cannot load modules here: the guest's /lib/modules is the host's.
modules=(virtio_pci virtio_console 9pnet_virtio 9p overlay veth sch_netem
    crc32c_generic crc32_generic ib_uverbs rdma_ucm rdma_rxe)

cannot() {
    echo "$*" >&2
    exit 3
}

# What must be there; scripts/install-deps.sh installs it.
for tool in qemu-system-x86_64 busybox cpio xz zstd depmod ar make gcc setpriv flock apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || cannot "the test VM needs $tool (scripts/install-deps.sh test installs it)"
done
[ "$(uname -m)" = x86_64 ] || cannot "the test VM is made for x86_64"
# shellcheck source=/dev/null
[ "$(. /etc/os-release && echo "${ID:-}")" = debian ] || cannot "the test VM boots Debian's kernel with Debian's userland"
# Only one that is linked statically runs before there are libraries.
busybox=$(command -v busybox)
if ldd "$busybox" >/dev/null 2>&1; then
    cannot "the test VM needs busybox-static, and $busybox is linked dynamically"
fi

mkdir -p "$cache"
# One at a time: several test runs may share the cache.
exec 9>"$cache/lock"
flock 9
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Downloads packages into the current directory. As an ordinary user this needs package lists that somebody fetched.
download() {
    local get=(apt-get -q -o APT::Sandbox::User=root)
    "${get[@]}" download "$@" >>"$work/log" 2>&1 && return
    [ "$(id -u)" = 0 ] && "${get[@]}" update >>"$work/log" 2>&1 && "${get[@]}" download "$@" >>"$work/log" 2>&1
}

# The version behind a metapackage, such as 6.12.117+deb12-amd64.
newest_version() {
    apt-cache depends "$1" 2>/dev/null |
        sed -nE 's/^ *Depends: linux-image-([0-9][^ ]*-amd64)$/\1/p' | head -n 1
}

# Unpacks the kernel proper from a bzImage, which boots a second sooner; Documentation/arch/x86/boot.rst has the fields.
unpack_kernel() {
    local image=$1 sectors offset length
    sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$image")
    offset=$(od -An -tu4 -j $((0x248)) -N 4 "$image")
    length=$(od -An -tu4 -j $((0x24c)) -N 4 "$image")
    # The payload ends with its unpacked size in 4 bytes.
    dd if="$image" of="$work/payload" status=none bs=1M iflag=skip_bytes,count_bytes \
        skip=$(((sectors + 1) * 512 + offset)) count=$((length - 4))
    zstd -dcq "$work/payload" 2>/dev/null || xz -dcq "$work/payload" 2>/dev/null ||
        cannot "kernel $version is packed in a way that is not known here"
}

# Kernel, modules and headers of one version, all or nothing.
fetch_kernel() {
    local version='' meta
    for meta in linux-image-6.12-amd64 linux-image-amd64; do
        version=$(newest_version "$meta")
        [ -n "$version" ] && break
    done
    if [ -z "$version" ]; then
        [ "$(id -u)" = 0 ] && apt-get -q update >>"$work/log" 2>&1
        version=$(newest_version linux-image-6.12-amd64)
        [ -n "$version" ] || version=$(newest_version linux-image-amd64)
    fi
    [ -n "$version" ] || cannot "the package lists name no kernel for the test VM (apt-get update)"
    local base=${version%-amd64}
    mkdir -p "$work/debs" "$work/image" "$work/kernel/headers"
    (cd "$work/debs" && download "linux-image-$version" "linux-headers-$version" "linux-headers-$base-common" \
        "linux-kbuild-$base") || cannot "the kernel for the test VM cannot be downloaded: $(tail -n 1 "$work/log")"
    dpkg-deb -x "$work"/debs/linux-image-*.deb "$work/image"
    rm "$work"/debs/linux-image-*.deb
    for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/kernel/headers"; done

    unpack_kernel "$work/image/boot/vmlinuz-$version" >"$work/kernel/vmlinux"
    # Newer packages have /usr/lib/modules.
    local tree
    tree=$(find "$work/image" -type d -path "*/modules/$version")
    mkdir -p "$work/kernel/lib/modules/$version/kernel"
    cp "$tree"/modules.{builtin,order} "$work/kernel/lib/modules/$version/"
    (cd "$tree/kernel" && cp -r --parents drivers/infiniband drivers/net/veth.ko* drivers/virtio \
        drivers/char/virtio_console.ko* fs crypto lib arch net "$work/kernel/lib/modules/$version/kernel/" 2>/dev/null) || true
    depmod -b "$work/kernel" "$version"
    # The headers name the place where they would be installed.
    sed -i "s,/usr/src/,$cache/kernel-$version/headers/usr/src/,g" \
        "$work/kernel/headers/usr/src/linux-headers-$version/Makefile"
    mv "$work/kernel" "$cache/kernel-$version"
}

kernels=("$cache"/kernel-*)
if [ ! -d "${kernels[-1]}" ]; then
    fetch_kernel
    kernels=("$cache"/kernel-*)
fi
kernel=${kernels[-1]}
version=${kernel##*/kernel-}

# What is derived from sources carries their hash in its name.
hash_of() { cat "$@" | sha1sum | cut -c 1-12; }

build_initramfs() {
    local root=$work/initramfs line module
    mkdir -p "$root"/{bin,proc,sys,dev,modules,host,writable,new}
    cp "$busybox" "$root/bin/busybox"
    cp "$here/init.sh" "$root/init"
    chmod +x "$root/init"
    for module in "${modules[@]}"; do
        # Its dependencies first: lines `insmod FILE`, or `builtin NAME`.
        modprobe -d "$kernel" -S "$version" --show-depends --ignore-install "$module" 2>/dev/null || true
    done | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' | while read -r line; do
        module=${line##*/}
        module=${module%.xz}
        case $line in
            *.xz) xz -dc "$line" >"$root/modules/$module" ;;
            *) cp "$line" "$root/modules/$module" ;;
        esac
        echo "$module" >>"$root/modules/order"
    done
    [ -e "$root/modules/rdma_rxe.ko" ] || cannot "kernel $version has no rdma_rxe"
    (cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs.cpio"
    mv "$work/initramfs.cpio" "$1"
}

build_mockrdma() {
    cp -r "$here/mockrdma" "$work/mockrdma"
    # Type information for BPF would need one more tool.
    if ! make -s -C "$kernel/headers/usr/src/linux-headers-$version" M="$work/mockrdma" \
        CONFIG_DEBUG_INFO_BTF= CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "mockrdma does not compile against Linux $version" >&2
        exit 1
    fi
    strip --strip-debug "$work/mockrdma/mockrdma.ko"
    mv "$work/mockrdma/mockrdma.ko" "$1"
}

initramfs=$cache/initramfs-$version-$(hash_of "$here/init.sh" "${BASH_SOURCE[0]}").cpio
[ -e "$initramfs" ] || build_initramfs "$initramfs"
mockrdma=$cache/mockrdma-$version-$(hash_of "$here"/mockrdma/{mockrdma.c,Kbuild}).ko
[ -e "$mockrdma" ] || build_mockrdma "$mockrdma"

echo "kernel=$kernel/vmlinux"
echo "initramfs=$initramfs"
echo "mockrdma=$mockrdma"
