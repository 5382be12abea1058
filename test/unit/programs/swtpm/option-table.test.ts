/** The table is what everything else is made from, so it is checked against the specification and against itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { optionsOf, optionTable } from '../../../../src/command-line/options/table.ts'
import { takesValue } from '../../../../src/programs/common/options/option-table.ts'
import { waysOf } from '../../../../src/programs/common/options/synopsis.ts'
import type { Interface } from '../../../../src/serve/config.ts'
import { INTERFACES } from '../../../../src/serve/config.ts'
import { PACKAGE_VERSION } from '../../../../src/system/version.ts'

const common =
  'runas chroot locality log key migration-key pid tpmstate flags tpm2 help seccomp migration ' +
  'print-capabilities print-states profile print-profiles print-info pcap'
const specified: { readonly [I in Interface]: string } = {
  socket: `${common} daemon port fd server terminate ctrl`,
  chardev: `${common} daemon chardev fd vtpm-proxy ctrl`,
  cuse: `${common} maj min name version`,
}
for (const iface of INTERFACES) {
  test(`${iface} has the options of the reference, and marks its own as extensions`, () => {
    const ours = optionsOf(iface).filter(([, row]) => !row.extension?.includes(iface))
    assert.deepEqual(ours.map(([name]) => name).sort(), specified[iface].split(' ').sort())
  })

  test(`${iface}: every letter stands for one option`, () => {
    const letters = optionsOf(iface).flatMap(([, row]) => row.alias ?? [])
    assert.equal(new Set(letters).size, letters.length)
    assert.ok(letters.every((letter) => letter.length === 1))
  })
}

for (const [name, row] of Object.entries(optionTable) as ReturnType<typeof optionsOf>) {
  test(`--${name} is described for help and manual page`, () => {
    assert.match(row.describe, /^[A-Z].*\.$/s)
    assert.equal(waysOf(row).length > 0, takesValue(row))
  })

  if (row.sub === undefined) continue
  for (const [sub, entry] of Object.entries(row.sub)) {
    test(`--${name} ${sub} is described and stands in the synopsis`, () => {
      assert.match(entry.describe, /^[A-Z].*\.$/s)
      const named = waysOf(row).some((way) => new RegExp(`(^|[[|,])${sub}([=\\],[|]|$)`).test(way))
      assert.ok(named, `${sub} in ${waysOf(row)}`)
    })
  }
}

test('the version is that of package.json', () => {
  assert.equal(PACKAGE_VERSION, require('../../../../package.json').version)
})
