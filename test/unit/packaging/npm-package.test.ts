/** What `npm pack` packs, and what its installation says is missing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { documents } from '../../../man/generator/documents.ts'
import { projectRoot } from '../man/project-root.ts'

interface Requirement {
  readonly what: string
  readonly packages: Readonly<Record<string, string>>
}
interface Requirements {
  installLine(missing: readonly Requirement[], osRelease: string): string
}

const manifest = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  readonly man: readonly string[]
  readonly bin: Readonly<Record<string, string>>
  readonly private?: boolean
}

/** As it is packed, but for what is made for it by the script "prepack". */
function packed(): readonly string[] {
  const { stdout, stderr, status } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: projectRoot,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  // A list; since npm 12 an object, by the packages' names.
  const [pack] = Object.values(JSON.parse(stdout)) as [{ files: { path: string }[] }]
  return pack.files.map(({ path }) => path)
}

test('every manual page is one of the package', () => {
  const pages = [...documents(projectRoot).keys()].filter((name) => name.startsWith('man/'))
  // "man" in package.json has to list them.
  assert.deepEqual([...manifest.man].sort(), pages.map((name) => `dist/share/${name}`).sort())
})

test('the package has what it is compiled of, its programs, and nothing of the development', () => {
  const files = packed()
  for (const name of [
    ...Object.values(manifest.bin),
    ...['native/binding.gyp', 'native/keeper/main.cc', 'native/engine/main.cc', 'native/addon/addon.cc'],
    ...['native/generated/keeper.h', 'scripts/package/npm-install.mjs', 'scripts/setup/node-headers.mjs'],
    ...['dist/swtpm.js', 'dist/swtpm.main.js', 'dist/index.js', 'dist/types/src/library/index.d.ts'],
    ...['udev/70-swtpm.rules', 'packaging/systemd/swtpm-cuse@.service.in', 'LICENSE', 'README.md'],
  ])
    assert.ok(files.includes(name), name)
  assert.deepEqual(
    files.filter((name) => /^(src|test|native\/(build|bench))\/|\.(cache|map)$/.test(name)),
    [],
  )
  assert.equal(manifest.private, undefined)
})

test('all modules that the packed scripts import are packed', () => {
  const files = new Set(packed())
  for (const file of files) {
    if (!/^scripts\/.*\.mjs$/.test(file)) continue
    for (const [, name = ''] of readFileSync(join(projectRoot, file), 'utf8').matchAll(/from '(\.[^']+)'/g))
      assert.ok(files.has(join(file, '..', name)), `${file} imports ${name}`)
  }
})

test('what is missing is installed by one line of the distribution', async () => {
  const { installLine } = (await import(
    pathToFileURL(join(projectRoot, 'scripts/package/requirements.mjs')).href
  )) as Requirements
  const missing = [{ what: 'a library', packages: { apt: 'lib-dev', dnf: 'lib-devel', apk: 'lib-dev' } }]
  const line = (osRelease: string) => installLine(missing, osRelease).replace(/^sudo /, '')
  assert.equal(line('ID=debian\n'), 'apt-get install lib-dev')
  assert.equal(line('NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n'), 'apt-get install lib-dev')
  assert.equal(line('ID="rocky"\nID_LIKE="rhel centos fedora"\n'), 'dnf install lib-devel')
  assert.equal(line('ID=alpine\n'), 'apk add lib-dev')
  assert.equal(line('ID=nothing-known\n'), 'install what Debian calls lib-dev')
})

test('in a clone the install script does nothing', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(projectRoot, 'scripts/package/npm-install.mjs')],
    { encoding: 'utf8' },
  )
  assert.deepEqual([status, stdout, stderr], [0, '', ''])
})
