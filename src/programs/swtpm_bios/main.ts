/** Entry point of swtpm_bios. */
import { runTool } from '../common/tool-main.ts'
import { biosOptions } from './bios-options.ts'
import { runBios } from './run-bios.ts'

runTool({
  tool: 'swtpm_bios',
  title: 'TPM emulator BIOS emulator',
  summary:
    'Does with a TPM what firmware does: Startup, then (TPM 1.2, unless -o) physical presence, enable and ' +
    'activate, then the further steps that are asked for.',
  table: biosOptions,
  helpOption: 'h',
  versionOption: 'v',
  style: { singleDash: true },
  failureCode: 255,
  examples: [
    [
      '$0 --tpm2 --unix /run/vtpm/data --cs -u',
      'send a TPM 2.0 its Startup, test it and lock its platform hierarchy',
    ],
    ['$0 --tcp :6545 -n -u', 'give up the physical presence of a running TPM 1.2'],
  ],
  epilogue:
    'Exit codes: 0 done, 128 the TPM refused a step, 129 the TPM must be reset (-ea), 255 the TPM cannot be reached, 1 ' +
    'wrong command line. Environment: TPM_DEVICE; TCSD_USE_TCP_DEVICE with TCSD_TCP_DEVICE_HOSTNAME and ' +
    'TCSD_TCP_DEVICE_PORT.',
  run: (options) => runBios(options, process.env),
})
