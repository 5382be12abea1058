# Runs the job inside the guest and tells the host how it ended. Started as the guest's process 1 by init.sh;
# being a shell that waits, it also reaps the processes whose parents are gone.

busybox=/run/guest/busybox
. /run/guest/settings # interactive, token, rows, columns

"$busybox" ip link set lo up
echo swtpm-guest >/proc/sys/kernel/hostname

# A named channel to the host. Without udev only sysfs knows the names.
port() {
  for directory in /sys/class/virtio-ports/*; do
    read -r name <"$directory/name"
    if [ "$name" = "$1" ]; then
      port="/dev/${directory##*/}"
      return
    fi
  done
  echo "guest: no channel named $1"
}

port control
exec 7<>"$port"
echo up >&7

if [ "$interactive" = yes ]; then
  "$busybox" stty -F /dev/hvc0 rows "$rows" cols "$columns"
  # The host's window changes its size: it says so on the control channel.
  while read -r verb rows columns; do
    "$busybox" stty -F /dev/hvc0 rows "$rows" cols "$columns"
  done <&7 >/dev/null 2>&1 &
  "$busybox" setsid -c /bin/sh /run/guest/command </dev/hvc0 >/dev/hvc0 2>&1 7>&-
  echo "exit $?" >&7
else
  # A channel cannot be opened twice, so a program that reopens /dev/stdout would fail: give it pipes instead.
  "$busybox" mkfifo /run/guest/stdout /run/guest/stderr
  port stdout
  "$busybox" cat /run/guest/stdout >"$port" 7>&- &
  port stderr
  "$busybox" cat /run/guest/stderr >"$port" 7>&- &
  exec 5>/run/guest/stdout 6>/run/guest/stderr
  /bin/sh /run/guest/command </dev/null >&5 2>&6 5>&- 6>&- 7>&-
  status=$?
  # Daemons may hold the pipes open, so their end of file does not tell that all output has passed: the token does.
  printf '\0%s' "$token" >&5
  printf '\0%s' "$token" >&6
  echo "exit $status" >&7
fi

# The host ends the machine as soon as it has read this far.
"$busybox" sleep 30
"$busybox" reboot -f
