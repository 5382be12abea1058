/** Entry point of swtpm_ioctl. */
import { runTool } from '../common/tool-main.ts'
import { ioctlOptions } from './ioctl-options.ts'
import { runIoctl } from './run-ioctl.ts'

runTool({
  tool: 'swtpm_ioctl',
  title: 'TPM emulator control tool',
  summary: 'Sends one control command to a TPM.',
  table: ioctlOptions,
  helpOption: 'help',
  versionOption: 'version',
  style: { singleDash: true },
  examples: [
    ['$0 --unix /run/vtpm/ctrl -i', 'power the TPM behind a control socket on'],
    ['$0 -c /dev/vtpm0', 'what a CUSE TPM can do'],
    ['$0 --tcp :6546 --save permanent state.bin', 'save the permanent state'],
  ],
  epilogue:
    'Environment: SWTPM_IOCTL_BUFFERSIZE moves state blobs to and from a device by read() and write() of that many ' +
    'bytes; SWTPM_IOCTL_TIMEOUT is the number of seconds to wait for an answer (20, with a device 60).',
  run: (options) => runIoctl(options, process.env),
})
