#!/run/guest/busybox sh
# ktest-suspend SECONDS: suspends the guest to RAM; its clock wakes it.

busybox=/run/guest/busybox
. /run/guest/settings

fail() {
  echo "ktest-suspend: $*" >&2
  exit 1
}

case "$1" in '' | *[!0-9]* | 0) fail 'how many SECONDS? ktest-suspend 3' ;; esac
# The channel of the host's files has no state that outlasts it: every access would hang.
[ "$root" = memory ] || fail "the guest's root directory is the host's, and is gone after a suspend: start with --root memory"
alarm=/sys/class/rtc/rtc0/wakealarm
[ -e $alarm ] || fail 'the kernel has no clock that could wake it: CONFIG_RTC_DRV_CMOS'
[ -e /sys/power/mem_sleep ] || fail 'the kernel cannot suspend: CONFIG_SUSPEND'

echo deep >/sys/power/mem_sleep 2>/dev/null || fail "the kernel can only $("$busybox" cat /sys/power/mem_sleep), and that is no suspend to RAM"
echo 0 >$alarm
echo "+$1" >$alarm || fail "cannot set the clock's alarm"
# The host ends a machine that does not wake. What it is told has to be there before everything stops.
echo "ktest-suspend: for $1 s" >/dev/kmsg
"$busybox" sleep 0.2
echo mem >/sys/power/state || fail 'the kernel did not suspend; dmesg says why'
echo "ktest-suspend: over" >/dev/kmsg
