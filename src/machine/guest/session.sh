# Runs the job inside the guest and tells the host how it ended. Started as the guest's process 1 by init.sh;
# being a shell that waits, it also reaps the processes whose parents are gone.

busybox=/run/guest/busybox
. /run/guest/settings # interactive, log, token, rows, columns

"$busybox" ip link set lo up
echo swtpm-guest >/proc/sys/kernel/hostname

# A named channel to the host. Without udev only sysfs knows the names.
port() {
  # The console of an interactive session is on the same bus and has no name.
  for file in /sys/class/virtio-ports/*/name; do
    read -r name <"$file"
    if [ "$name" = "$1" ]; then
      port="/dev/$("$busybox" basename "${file%/name}")"
      return
    fi
  done
  echo "guest: no channel named $1"
}

port control
exec 7<>"$port"

if [ "$log" = yes ]; then
  port log
  # A reader that has fallen behind gets an error: it begins anew, and the host knows what it has.
  while :; do "$busybox" cat /dev/kmsg; done >"$port" 2>/dev/null 7>&- &
fi
echo up >&7

# Before the command and after it. What they print is for the terminal, not for who reads the command's output.
run_script() {
  [ ! -e "/run/guest/$1" ] || /bin/sh "/run/guest/$1" </dev/null >&2
}

if [ "$interactive" = yes ]; then
  # Held open, since a terminal forgets its size when no process has it open.
  exec 8<>/dev/hvc0
  "$busybox" stty rows "$rows" cols "$columns" <&8
  # The host's window changes its size: it says so on the control channel.
  while read -r verb rows columns; do
    "$busybox" stty rows "$rows" cols "$columns" <&8
  done <&7 &
  status=126
  run_script prepare 2>&8 7>&- && {
    echo started >&7
    "$busybox" setsid -c /bin/sh /run/guest/command <&8 >&8 2>&8 7>&- 8>&-
    status=$?
  }
  run_script finish 2>&8 7>&-
  echo "exit $status" >&7
else
  # A channel cannot be opened twice, so a program that reopens /dev/stdout would fail: give it pipes instead.
  "$busybox" mkfifo /run/guest/stdout /run/guest/stderr
  port stdout
  "$busybox" cat /run/guest/stdout >"$port" 7>&- &
  port stderr
  "$busybox" cat /run/guest/stderr >"$port" 7>&- &
  exec 5>/run/guest/stdout 6>/run/guest/stderr
  if run_script prepare 2>&6 5>&- 7>&-; then
    echo started >&7
    /bin/sh /run/guest/command </dev/null >&5 2>&6 5>&- 6>&- 7>&-
    status=$?
  else
    echo unprepared >&7
    status=126
  fi
  run_script finish 2>&6 5>&- 7>&-
  [ "$log" = no ] || echo "$token" >/dev/kmsg
  # Daemons may hold the pipes open, so their end of file does not tell that all output has passed: the token does.
  printf '\0%s' "$token" >&5
  printf '\0%s' "$token" >&6
  echo "exit $status" >&7
fi

# The host ends the machine as soon as it has read this far.
"$busybox" sleep 30
"$busybox" reboot -f
