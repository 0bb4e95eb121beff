#!/usr/bin/env bash
# Installs a Debian package on this very system, looks at what it brought, and removes it; the system keeps nothing of it.
#
#   unshare --mount tests/packages/install.sh PACKAGE.deb SYSFS_TREE
#
# As root, in a mount namespace of its own: dpkg works on a layer above this system's files, which goes with the namespace.
# Ends with `installed and removed`, or where something is wrong. A line `skipped: …` is a part that was left out. Exit code 77 and a
# reason: cannot be done here.
set -euo pipefail

package=$1 tree=$2

cannot() {
    echo "$*" >&2
    exit 77
}
# A step of the set-up: a container may refuse any of them, and nothing is said about the package then.
set_up() {
    local why
    why=$("$@" 2>&1) || cannot "$*: $why"
}

# dpkg keeps its data where it may be a mount of its own, and systemd is not to be found: it would be this system's.
for place in /usr /var /etc; do
    if mountpoint -q "$place"; then
        cannot "$place is a file system of its own"
    fi
done
set_up mount --make-rprivate /
layer=$(mktemp -d)
trap 'umount -l "$layer" 2>/dev/null || true; rmdir "$layer"' EXIT
# The layer's files are in memory, and end with the last process here.
set_up mount -t tmpfs tmpfs "$layer"
mkdir "$layer"/{changed,work,root}
root=$layer/root
set_up mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/changed,workdir=$layer/work" "$root"
set_up mount -t tmpfs tmpfs "$root/run"
set_up mount -t tmpfs tmpfs "$root/tmp"
set_up mount -t proc proc "$root/proc"
set_up mount --bind /dev "$root/dev"
cp -- "$package" "$root/tmp/railtop.deb"
cp -a -- "$tree" "$root/tmp/sys"

inside() {
    # An installed one goes before, since man and bash look for pages and completions beside the program.
    env -i PATH=/usr/bin:/usr/sbin:/bin:/sbin LC_ALL=C.UTF-8 HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
        chroot "$root" "$@"
}
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
if inside dpkg-query -W railtop >/dev/null 2>&1; then
    cannot "railtop is installed on this system, which has another one then"
fi

# Images for containers leave manuals out, which is not what is tested.
inside dpkg --path-include='/usr/share/man/*' --path-include='/usr/share/doc/*' -i /tmp/railtop.deb
# shellcheck disable=SC2016  # dpkg's variable
[ "$(inside dpkg-query -W -f '${Status}' railtop)" = 'install ok installed' ] || fail "dpkg does not call it installed"
[ -z "$(inside dpkg --verify railtop)" ] || fail "files differ from what the package says: $(inside dpkg --verify railtop)"

# The program.
[ "$(inside sh -c 'command -v railtop')" = /usr/bin/railtop ] || fail "railtop is not in the path"
inside railtop list --sysfs-root /tmp/sys | grep -q '^rdmap79s0 ' || fail "railtop list does not show a device of the tree"

# The library that it loads into other programs, found by itself.
# shellcheck disable=SC2016  # the shell's that is run
inside env RAILTOP_PAGE_DIR=/tmp/pages railtop run -- sh -c 'echo "$FI_PROVIDER_PATH"' | grep -q '^/usr/lib/railtop' ||
    fail "railtop run does not find its library"

# A man page for each command, where man finds it, and nothing in it that groff stumbles over.
pages=$(inside dpkg -L railtop | grep -c '/man1/.*\.1\.gz$') || fail "no man pages"
[ "$pages" -gt 10 ] || fail "only $pages man pages"
if inside sh -c 'command -v man && command -v groff' >/dev/null; then
    [ "$(inside man -w railtop-bench-put)" = /usr/share/man/man1/railtop-bench-put.1.gz ] || fail "man finds no railtop-bench-put"
    for page in $(inside dpkg -L railtop | grep '/man1/.*\.1\.gz$'); do
        said=$(inside man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || fail "$page: $said"
    done
else
    echo "skipped: man pages unread: no man or groff"
fi

# Completions, by the shells where they are there.
completions=/usr/share/bash-completion/completions/railtop
inside bash -c "source $completions && complete -p railtop" >/dev/null || fail "bash cannot use $completions"
inside head -n 1 /usr/share/zsh/vendor-completions/_railtop | grep -qx '#compdef railtop' || fail "zsh takes _railtop for nothing"
inside grep -q '^complete -c railtop ' /usr/share/fish/vendor_completions.d/railtop.fish || fail "no completions for fish"
for shell in zsh fish; do
    inside sh -c "command -v $shell" >/dev/null || continue
    inside $shell -n "$(inside dpkg -L railtop | grep "/$shell/.*railtop")" || fail "$shell cannot read its completions"
done

# The unit starts what is installed, once somebody wants it.
unit=/usr/lib/systemd/system/railtop-exporter.service
inside grep -q '^ExecStart=/usr/bin/railtop export ' $unit || fail "$unit does not start /usr/bin/railtop"
if inside sh -c 'command -v systemctl' >/dev/null; then
    state=$(inside systemctl is-enabled railtop-exporter || true)
    [ "$state" = disabled ] || fail "the unit is $state after the installation, not disabled"
    inside systemctl enable -q railtop-exporter
    said=$(inside systemd-analyze verify $unit 2>&1 | grep -F railtop || true)
    [ -z "$said" ] || fail "$said"
else
    echo "skipped: the unit not enabled: no systemd"
fi

# Again, as an upgrade; then gone, with the unit that was enabled and the flags that an administrator gave it.
flags=/etc/default/railtop-exporter
inside sh -c "echo 'RAILTOP_EXPORT=--listen 127.0.0.1:9812' >$flags"
inside dpkg -i /tmp/railtop.deb
inside dpkg --remove railtop
[ -e "$root$flags" ] || fail "$flags is gone before the package is purged"
inside dpkg --purge railtop
cd "$layer/changed"
left=$(find . -iname '*railtop*')
[ -z "$left" ] || fail "left behind: $left"
# Other files that differ from before: dpkg's own data and caches alone.
left=$(find . ! -type d | grep -vE '^\./(var/(lib|log|cache)|root/\.cache|tmp|run)/|^\./etc/ld\.so\.cache$' || true)
[ -z "$left" ] || fail "changed and not put back: $left"
cd /
echo "installed and removed"
