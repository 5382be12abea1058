import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandLineError } from '../../../../src/command-line/exit/command-line-error.ts'
import { exitCodeOf } from '../../../../src/command-line/exit/exit-code.ts'
import { SwtpmError } from '../../../../src/system/errors.ts'

const failures: [failure: unknown, cuse: number][] = [
  [new CommandLineError('noName', ''), 254],
  [new CommandLineError('setuid', ''), 252],
  [new CommandLineError('pidFile', ''), 243],
  [new CommandLineError('seccomp', ''), 242],
  [new SwtpmError('SWTPM_ERR_STATE_KEY', ''), 253],
  [new SwtpmError('SWTPM_ERR_USER', ''), 251],
  [new SwtpmError('SWTPM_ERR_LOG', ''), 1],
  [new SwtpmError('SWTPM_ERR_PID_FILE', ''), 243],
  [new SwtpmError('SWTPM_ERR_PROFILE', ''), 255],
  [new SwtpmError('SWTPM_ERR_STATE_LOCKED', ''), 255],
  [new Error('anything'), 255],
  [undefined, 255],
]
for (const [failure, cuse] of failures) {
  test(`${(failure as { code?: string })?.code} ${cuse}: the exit code tells failures apart on cuse only`, () => {
    assert.equal(exitCodeOf(failure, 'cuse'), cuse)
    assert.equal(exitCodeOf(failure, 'socket'), 1)
    assert.equal(exitCodeOf(failure, 'chardev'), 1)
  })
}
