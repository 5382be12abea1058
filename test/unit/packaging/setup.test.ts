/** `npm run setup`: what it takes for installed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { projectRoot } from '../man/project-root.ts'

interface AptScript {
  installedNames(listed: string): Set<string>
}

test('a package that provides the old name of another counts as that', async () => {
  const { installedNames } = (await import(
    pathToFileURL(join(projectRoot, 'scripts/setup/apt.mjs')).href
  )) as AptScript
  const listed = [
    'installed\tlibtss2-tcti-device0t64\tlibtss2-tcti-device0 (= 4.1.3-1.2), libtss2-tcti (= 4)',
    'installed\tmake\t',
    'config-files\tswtpm\tswtpm-old',
  ]
  assert.deepEqual([...installedNames(listed.join('\n'))].filter((name) => name !== '').sort(), [
    'libtss2-tcti',
    'libtss2-tcti-device0',
    'libtss2-tcti-device0t64',
    'make',
  ])
})
