/** The options of `swtpm cdi`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'
import { type CdiVersion, DEFAULT_KIND, VERSIONS } from './cdi-specification.ts'

/** Where runtimes look for specifications that do not outlive a boot; virtual devices do not either. */
export const DEFAULT_DIRECTORY = '/run/cdi'
export const DEFAULT_VERSION: CdiVersion = '0.6.0'

export const CDI_OPTIONS = {
  name: {
    value: 'NAME',
    group: 'Which TPM',
    describe: `what a container asks for: --device ${DEFAULT_KIND}=NAME`,
  },
  device: {
    value: 'PATH',
    group: 'Which TPM',
    describe: '/dev/tpmN of the vTPM proxy, or a device of CUSE; its /dev/NAMErm alone, too',
  },
  'end-with-container': {
    value: 'PIDFILE',
    group: 'Which TPM',
    describe:
      'when the container has stopped, end the swtpm whose --pid file this is, and remove the specification',
  },
  kind: { value: 'VENDOR/CLASS', group: 'Where', describe: `instead of ${DEFAULT_KIND}` },
  dir: { value: 'DIR', group: 'Where', describe: `instead of ${DEFAULT_DIRECTORY}: /etc/cdi, say` },
  'cdi-version': {
    value: 'VERSION',
    choices: VERSIONS,
    group: 'Where',
    describe: `instead of ${DEFAULT_VERSION}; podman 4.3 wants 0.5.0`,
  },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable

export const CDI_VERBS = ['write', 'remove'] as const
