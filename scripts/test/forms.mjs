// The two forms of a test file: with supervisors that never rest, and with some that rest at every chance, so that nearly
// every verb and signal finds them at rest (docs/design/0007-sleeping-supervisor.md).

/** @typedef {'awake' | 'asleep'} Form */

/** @type {readonly Form[]} */
export const FORMS = ['awake', 'asleep']

/** What SWTPM_REST_MS is in each. */
const REST_MS = { awake: 'never', asleep: '0' }

/** @param {Form} form @returns {Record<string, string>} the environment of its tests */
export const environmentOf = (form) => ({ SWTPM_REST_MS: REST_MS[form] })

/** Files by the beginnings of their paths. Of these there is one form, awake, because… */
const ONE_FORM = [
  // …nothing of what they test is a supervisor that could rest,
  ...[
    'unit/',
    'ktest/',
    'fuzz/engine-channel',
    'fuzz/evil-engine',
    'fuzz/options',
    'fuzz/recordings',
    'fuzz/state-files',
    'fuzz/tpm-commands',
    'fuzz/tpm-structures',
  ],
  ...['hard/soak', 'hard/storage-faults', 'interop/ca-faults', 'interop/certificates', 'interop/own-ca'],
  ...[
    'protocol/faults',
    'protocol/fleet',
    'protocol/messages',
    'protocol/pcap',
    'protocol/print',
    'protocol/script',
    'protocol/fault-command',
  ],
  // …others start the supervisor, without our environment: it rests when it would for a user,
  ...['interop/libvirtd', 'interop/linuxkit'],
  // …they say themselves when it rests,
  ...['protocol/rest', 'protocol/keeper', 'protocol/late-engine', 'protocol/data-descriptors'],
  // …the firmware of their guest gives up where a verb takes longer than 750 ms, as on a busy machine; a user's supervisor
  // is awake while it starts,
  'interop/qemu-boot',
  // …they count what an awake one does,
  'bench/',
  // …or a supervisor that has to be started first misses the moment that they are about.
  ...['hard/cancel', 'protocol/cancel'],
]

/** Where the command line names no form, these run in both: whatever a client sees, they test the most of it. */
const IN_BOTH = ['protocol/']

/** These asleep, because they are about the control channel, its clients, signals and engines; and all others awake. */
const IN_ASLEEP = [
  ...[
    'cloud-hypervisor',
    'libvirt',
    'lxd',
    'migration',
    'qemu-migration',
    'state-files',
    'systemd',
    'tcsd',
  ].map((name) => `interop/${name}`),
  ...[
    'dictionary-attack',
    'evil-',
    'hostile-clients',
    'kill',
    'lost-state',
    'sandbox',
    'state-',
    'volatile-state',
  ].map((name) => `hard/${name}`),
  ...['hard/stopped-engine', 'hard/succession'],
]

/**
 * @param {string} file a test file of this machine, relative to build/test
 * @param {readonly Form[]} asked by the command line; none: what suits the file
 * @returns {readonly Form[]}
 */
export function formsOf(file, asked) {
  const isOneOf = (/** @type {readonly string[]} */ beginnings) =>
    beginnings.some((beginning) => file.startsWith(beginning))
  /** @type {readonly Form[]} */
  const possible = isOneOf(ONE_FORM) ? ['awake'] : FORMS
  if (asked.length > 0) return possible.filter((form) => asked.includes(form))
  if (possible.length === 1 || isOneOf(IN_BOTH)) return possible
  return [isOneOf(IN_ASLEEP) ? 'asleep' : 'awake']
}

/**
 * A virtual machine runs all of its files in one form.
 *
 * @param {boolean} first it is that of the first kernel
 * @param {readonly Form[]} asked by the command line; none: the first kernel awake, others asleep
 * @returns {readonly Form[]}
 */
export const formsOfMachine = (first, asked) => (asked.length > 0 ? asked : [first ? 'awake' : 'asleep'])
