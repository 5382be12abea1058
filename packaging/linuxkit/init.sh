#!/bin/sh
# The machine's first process. There is no distribution here: a kernel, busybox, runc and the containers.

mount -t devtmpfs devtmpfs /dev && mount -t proc proc /proc && mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/log
ip link set lo up
while read -r module; do insmod "/modules/$module.ko"; done </modules/order

for bundle in /containers/services/*; do
  name=${bundle##*/}
  name=${name#*-}
  # The root directory of the machine is an initial file system, which pivot_root(2) cannot leave.
  runc run --no-pivot --detach --bundle "$bundle" "$name" </dev/null >"/run/log/$name" 2>&1 || cat "/run/log/$name"
  tries=0
  until sh -c "$(cat "$bundle/ready")"; do
    tries=$((tries + 1))
    [ "$tries" -lt 1200 ] || { echo "init: $name does not serve"; cat "/run/log/$name"; break; }
    sleep 0.1
  done
  echo "init: $name serves"
done

# The console is for commands, a line each; the answer ends with the exit status.
stty -echo
echo 'init: waiting for commands'
while read -r line; do
  eval "$line" 2>&1 </dev/null
  echo "status $?"
done
reboot -f
