/** What is said of compiled code that this Node cannot load. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadReason } from '../../../../src/system/native/load-reason.ts'

test('code for another Node is called that', () => {
  const error = new Error(
    [
      "The module '/usr/lib/swtpm/node_modules/ioctl/build/Release/ioctl.node'",
      'was compiled against a different Node.js version using',
      'NODE_MODULE_VERSION 115. This version of Node.js requires',
      'NODE_MODULE_VERSION 137. Please try re-compiling or re-installing',
      'the module (for instance, using `npm rebuild` or `npm install`).',
    ].join('\n'),
  )
  assert.equal(
    loadReason(error),
    `it was compiled for another version of Node, and this is ${process.version}`,
  )
})

test('of everything else the first line is told', () => {
  const error = new Error(
    "Cannot find module 'ioctl'\nRequire stack:\n- /usr/lib/swtpm/dist/swtpm_ioctl.main.js",
  )
  assert.equal(loadReason(error), "Cannot find module 'ioctl'")
})
