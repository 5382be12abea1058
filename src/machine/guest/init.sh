#!/bin/sh
# The guest's first process: puts the host's root directory (read-only over 9p, all writes kept in memory) in
# place of the initial file system, or a root directory that came with it; then hands over to session.sh. It talks
# on the kernel's console only; machine.ts shows the end of that when the guest does not come up.

fail() {
  echo "guest: $*"
  sleep 1
  reboot -f
}

mount -t devtmpfs devtmpfs /dev && mount -t proc proc /proc && mount -t sysfs sysfs /sys || fail 'no /dev, /proc or /sys'

# accelerator.ts asks only whether a guest gets this far.
read -r parameters </proc/cmdline
case "$parameters " in *' probe '*)
  echo 'guest: probe passed'
  reboot -f
  ;;
esac

while read -r module; do
  insmod "/modules/$module.ko" || fail "cannot load kernel module $module"
done </modules/order

. /job/settings # root

finish() {
  for directory in dev proc sys; do mount --move "/$directory" "/root/$directory"; done
  mkdir -p /root/dev/pts /root/dev/shm
  mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /root/dev/pts
  mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
  mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
  mount -t securityfs securityfs /root/sys/kernel/security
  mount -t debugfs debugfs /root/sys/kernel/debug
  ln -s /proc/self/fd /root/dev/fd
  ln -s fd/0 /root/dev/stdin
  ln -s fd/1 /root/dev/stdout
  ln -s fd/2 /root/dev/stderr
  mkdir -p /root/run/guest
  cp -r /bin/busybox /job/* /root/run/guest/
}

if [ "$root" = memory ]; then
  # It is part of the initial file system, which stays: switch_root would empty both.
  mount --bind /memory /root || fail 'cannot mount the root directory'
  finish
  cd /root && mount --move . / || fail 'cannot change the root directory'
  exec chroot . /run/guest/busybox sh /run/guest/session.sh
fi

share=trans=virtio,version=9p2000.L,msize=524288
# cache=loose: the host's files do not change while the guest runs, so it may cache what it has read.
mount -t 9p -o "$share,cache=loose,ro" host /host || fail "cannot mount the host's root directory"
mount -t tmpfs -o size=75% layer /layer && mkdir /layer/upper /layer/work || fail 'no memory for writes'
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work overlay /root || fail 'cannot make the overlay'

# Covers a directory of the host by an empty one in memory, except what the job needs from under it.
cover() {
  mkdir -p /keep
  while read -r kept; do
    case "$kept/" in "$1/"*) ;; *) continue ;; esac
    # The directory itself is needed: nothing to cover.
    [ "$kept" = "$1" ] && return
    mkdir -p "/keep$kept"
    mount --bind "/root$kept" "/keep$kept" || fail "cannot keep $kept"
  done </job/keep
  mount -t tmpfs -o "mode=$2" tmpfs "/root$1" || fail "cannot mount $1"
  while read -r kept; do
    case "$kept/" in "$1/"*) ;; *) continue ;; esac
    mkdir -p "/root$kept"
    mount --move "/keep$kept" "/root$kept"
  done </job/keep
}

cover /tmp 1777
cover /run 755

number=0
while read -r directory; do
  mkdir -p "/root$directory"
  mount -t 9p -o "$share,cache=none,access=any" "share$number" "/root$directory" || fail "cannot mount $directory"
  number=$((number + 1))
done </job/shares

finish
exec switch_root /root /run/guest/busybox sh /run/guest/session.sh
