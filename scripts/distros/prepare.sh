#!/bin/sh
# Makes a throw-away copy of a root with a new clone of the project in it, and keeps it until its standard input ends. It is
# the first process of namespaces of its own (namespaces.mjs): what it mounts, and what is started inside, ends with it, and
# what is written there is in memory.
#
# Usage: prepare.sh ROOT SPACE CLONE
#
# ROOT is left as it is. SPACE is an empty directory: its folder "root" becomes the copy. CLONE is where the project is to be
# in it. From the environment: TREE and FILES are the project and a list of its files, NPM_CACHE and COMPILED are the
# caches of npm and ccache, and CA_FILE may name the certificates that npm trusts. Prints "ready" when all is there.
set -eu

root=$1 space=$2
clone=$space/root$3

mount -t tmpfs -o mode=755 swtpm-distro "$space"
mkdir "$space/written" "$space/work" "$space/root"
mount -t overlay -o "lowerdir=$root,upperdir=$space/written,workdir=$space/work" overlay "$space/root"
cd "$space/root"

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 dev dev
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/${device%:*}" c 1 "${device#*:}"
done
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in stdin:0 stdout:1 stderr:2; do ln -s "/proc/self/fd/${stream#*:}" "dev/${stream%:*}"; done

for file in etc/resolv.conf etc/hosts; do
  [ ! -f "/$file" ] || cat "/$file" >"$file"
done
[ -z "${CA_FILE-}" ] || cat "$CA_FILE" >etc/ssl/of-the-machine.crt
mkdir -p root/.npm root/.cache/ccache "$clone" "$NPM_CACHE" "$COMPILED"
mount --bind "$NPM_CACHE" root/.npm
mount --bind "$COMPILED" root/.cache/ccache
tar -C "$TREE" --null --files-from="$FILES" -cf - | tar -C "$clone" -xf -

echo ready
# The kernel then does away with processes whose parent is gone, as an init would.
trap '' CHLD
exec cat >/dev/null
