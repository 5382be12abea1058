/** What the installer says where a confined libvirt cannot use what it has installed. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { projectRoot } from '../man/project-root.ts'

const script = (name: string) => import(pathToFileURL(join(projectRoot, 'scripts/install', name)).href)

const root = mkdtempSync(join(tmpdir(), 'swtpm-libvirt-'))
after(() => rmSync(root, { recursive: true, force: true }))
mkdirSync(join(root, 'etc/apparmor.d'), { recursive: true })

async function obstacle(prefix: string, appArmor = true): Promise<string | undefined> {
  const { layout } = await script('layout.mjs')
  const { libvirtObstacle } = await script('libvirt.mjs')
  return libvirtObstacle(layout(prefix), { root, appArmor })
}

test('nothing without libvirt', async () => {
  assert.equal(await obstacle('/usr/local'), undefined)
})

test('the rules that its profiles need for another prefix than /usr', async () => {
  writeFileSync(join(root, 'etc/apparmor.d/usr.sbin.libvirtd'), '')
  const text = (await obstacle('/usr/local')) ?? ''
  assert.match(text, /^libvirt cannot start a TPM: /)
  assert.match(text, /--prefix=\/usr/)
  assert.match(text, /'\/usr\/local\/bin\/swtpm\* PUx,' >> \/etc\/apparmor\.d\/local\/usr\.sbin\.libvirtd$/m)
  assert.match(
    text,
    /'\/usr\/local\/bin\/swtpm rmpix,' >> \/etc\/apparmor\.d\/local\/abstractions\/libvirt-qemu$/m,
  )
  assert.match(text, /apparmor_parser --replace \/etc\/apparmor\.d\/usr\.sbin\.libvirtd$/m)
  assert.doesNotMatch(text, /virtqemud/)
  writeFileSync(join(root, 'etc/apparmor.d/usr.sbin.virtqemud'), '')
  assert.match((await obstacle('/usr/local')) ?? '', /local\/usr\.sbin\.virtqemud$/m)
})

test('nothing for /usr, or without AppArmor', async () => {
  assert.equal(await obstacle('/usr'), undefined)
  assert.equal(await obstacle('/usr/local', false), undefined)
})

test('another profile for the same program, which a purged package has left in the kernel', async () => {
  const { layout } = await script('layout.mjs')
  const { rivalProfile } = await script('libvirt.mjs')
  const loaded = 'libvirt-swtpm (enforce)\nswtpm (enforce)\n'
  assert.match(rivalProfile(layout('/usr'), loaded), /\/usr\/bin\/swtpm, "swtpm", .*\.remove`$/)
  assert.equal(rivalProfile(layout('/usr/local'), loaded), undefined)
  assert.equal(rivalProfile(layout('/usr'), 'libvirt-swtpm (enforce)\n'), undefined)
})
