/** Sockets that the command line asks for. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { listenOn } from '../../../../src/system/io/server-socket.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

it('says that what is at the path of a socket is none, and leaves it alone', (t) => {
  const directory = temporaryDirectory(t)
  mkdirSync(join(directory, 'folder'))
  writeFileSync(join(directory, 'file'), '')
  for (const name of ['folder', 'file']) {
    const path = join(directory, name)
    const listen = (): unknown => listenOn({ kind: 'unix', path, mode: 0o700, uid: -1, gid: -1 })
    for (const _ of ['once', 'and again'])
      assert.throws(listen, {
        code: 'SWTPM_ERR_SOCKET',
        message: `Cannot listen on "${path}": there is something else of that name; remove it, or give the socket another path`,
      })
  }
})
