import assert from 'node:assert/strict'
import { closeSync, existsSync, fstatSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { openState } from '../../../../src/tpm/state/state-location.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

describe('a linear state file that is a link', () => {
  it('is followed, as volumes are links', (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(`${directory}/volume`, '')
    symlinkSync('volume', `${directory}/state`)
    const { fd } = openState({ kind: 'linear', path: `${directory}/state`, lock: false }, { sync: false })
    assert.equal(fstatSync(fd).ino, statSync(`${directory}/volume`).ino)
    closeSync(fd)
  })

  it('makes no file where it leads', (t) => {
    const directory = temporaryDirectory(t)
    symlinkSync('missing', `${directory}/state`)
    assert.throws(
      () => openState({ kind: 'linear', path: `${directory}/state`, lock: false }, { sync: false }),
      /^SwtpmError: Cannot open state file ".*state": it is a link to "missing", which does not exist; make that/,
    )
    assert.equal(existsSync(`${directory}/missing`), false)
  })
})
