/** TPMs that are served inside the guest, and the variables by which its command finds all of them. */
import { quote } from '../../../machine/job.ts'
import { optionValue } from '../../../machine/qemu-arguments.ts'
import { DRIVERS } from './hardware-tpm.ts'
import { ownSwtpm } from './own-swtpm.ts'
import { isHardware, type TpmDescription } from './tpm-description.ts'

/** QEMU writes what comes out of a channel of the guest into a file: a trace outlives a guest that dies. */
export const traceArguments = (tpm: TpmDescription, trace: string, recording: string): string[] => [
  ...channelInto(`trace-${tpm.index}`, trace),
  ...channelInto(`record-${tpm.index}`, recording),
]

const channelInto = (name: string, file: string): string[] => [
  ...['-chardev', `file,id=${name},path=${optionValue(file)}`],
  ...['-device', `virtserialport,chardev=${name},name=${name}`],
]

/** What the scripts share. They are run by the guest's /bin/sh. */
const FUNCTIONS = `
say() { echo "swtpm ktest: $*" >&2; }

# The device of a channel by its name.
channel() {
  for file in /sys/class/virtio-ports/*/name; do
    read -r name <"$file"
    [ "$name" = "$1" ] || continue
    file=\${file%/name}
    echo "/dev/\${file##*/}"
    return
  done
}

# The TPM of a driver by its name: tpm0.
chip_of() {
  for chip in /sys/class/tpm/tpm*; do
    driver=$(readlink "$chip/device/driver") || continue
    [ "\${driver##*/}" = "$1" ] || continue
    echo "\${chip##*/}"
    return
  done
}

# set_script INDEX NAME SOCKET
set_script() {
  for name in "$1" "$2"; do echo "export TPM_\${name}_SCRIPT='$3'"; done >>/run/guest/environment
}

# set_device INDEX NAME DEVICE: a resource manager is beside a device of the kernel's.
set_device() {
  manager=$(echo "$3" | sed -n 's,^/dev/tpm\\([0-9]*\\)$,/dev/tpmrm\\1,p')
  [ -n "$manager" ] && [ -e "$manager" ] || manager=
  for name in "$1" "$2"; do
    echo "export TPM_$name='$3'"
    [ -z "$manager" ] || echo "export TPMRM_$name='$manager'"
  done >>/run/guest/environment
}
`

export interface Preparation {
  readonly isTraced: boolean
  /** The guest has this program, which relays script sockets. */
  readonly hasSwtpm: boolean
}

/** Starts the TPMs of the guest and writes the variables of all. One that has no device is told of, and has no variable. */
export function prepareScript(tpms: readonly TpmDescription[], { isTraced, hasSwtpm }: Preparation): string {
  const steps = tpms.map((tpm) =>
    isHardware(tpm) ? findHardware(tpm, hasSwtpm) : startInGuest(tpm, isTraced),
  )
  const link = hasSwtpm ? `ln -s ${quote(ownSwtpm())} /run/guest/bin/swtpm` : ''
  return `${FUNCTIONS}\n${link}\n${steps.join('\n')}\ntrue\n`
}

function findHardware(tpm: TpmDescription & { readonly kind: 'tis' | 'crb' }, hasSwtpm: boolean): string {
  const { index, name, kind } = tpm
  return `
chip=$(chip_of ${DRIVERS[kind]})
if [ -n "$chip" ]; then
  set_device ${index} ${name} "/dev/$chip"
else
  say 'TPM ${name} (${kind}): the driver ${DRIVERS[kind]} has made no device'
fi
${hasSwtpm ? relay(tpm) : ''}`
}

function startInGuest(tpm: TpmDescription, isTraced: boolean): string {
  const { index, name, kind, version, options } = tpm
  const device = `vtpm${index}`
  const directory = directoryOf(tpm)
  const words = [
    ...[ownSwtpm(), ...(kind === 'cuse' ? ['cuse', '--name', device] : ['chardev', '--vtpm-proxy'])],
    ...(version === '2.0' ? ['--tpm2'] : []),
    ...(kind === 'cuse' ? ['--flags', 'startup-clear'] : ['--daemon']),
    ...['--tpmstate', `dir=${directory}`, '--pid', `file=${directory}/pid`],
    ...['--script-socket', `path=${scriptSocket(tpm)}`],
    ...options,
  ].map(quote)
  const trace = isTraced
    ? ` --pcap "file=$(channel trace-${index})" --record "$(channel record-${index})"`
    : ''
  return `
mkdir -p ${directory}
set_script ${index} ${name} ${scriptSocket(tpm)}
said=$(${words.join(' ')}${trace} 2>${directory}/errors)
if [ $? = 0 ]; then
  device=${kind === 'cuse' ? `/dev/${device}` : `$(echo "$said" | sed -n 's/^New TPM device: \\([^ ]*\\).*/\\1/p')`}
  set_device ${index} ${name} "$device"
else
  say "TPM ${name} (${kind}) has no device: $(grep -v '^Usage: \\|^Try ' ${directory}/errors | tail -n 1)"
fi`
}

/** The TPM is outside: its script socket is reached through a channel. */
const relay = (tpm: TpmDescription): string => `
mkdir -p ${directoryOf(tpm)}
set_script ${tpm.index} ${tpm.name} ${scriptSocket(tpm)}
swtpm ktest --in-guest relay:$(channel ${scriptChannel(tpm)}):${scriptSocket(tpm)} >/dev/null 2>&1 &
while [ ! -e ${scriptSocket(tpm)} ] && [ -e /proc/$! ]; do sleep 0.1; done`

const scriptSocket = (tpm: TpmDescription): string => `${directoryOf(tpm)}/script`
export const scriptChannel = ({ index }: Pick<TpmDescription, 'index'>): string => `script-${index}`

const directoryOf = ({ index }: Pick<TpmDescription, 'index'>): string => `/run/guest/tpm-${index}`

/** Ends the TPMs of the guest in order, so that their traces are whole. */
export function finishScript(tpms: readonly TpmDescription[], looksForLeaks: boolean): string {
  const pids = tpms.filter((tpm) => !isHardware(tpm)).map((tpm) => `${directoryOf(tpm)}/pid`)
  // The detector looks at what is older than five seconds.
  const leaks = `
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
  echo scan >$leaks; sleep 6; echo scan >$leaks
  cat $leaks >&2
else
  echo 'swtpm ktest: the kernel looks for no leaks: CONFIG_DEBUG_KMEMLEAK' >&2
fi`
  return `${looksForLeaks ? leaks : ''}
for file in ${pids.join(' ')}; do
  [ -e "$file" ] && read -r pid <"$file" && kill "$pid" && while [ -e "/proc/$pid" ]; do sleep 0.1; done
done
true
`
}
