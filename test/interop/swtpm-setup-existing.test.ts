/** swtpm_setup where there is a TPM already, or something else of the user's: nothing is lost. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isListening } from '../support/listening.ts'
import { bin, REFERENCE_SWTPM, Swtpm } from '../support/swtpm.ts'
import {
  assertRefused,
  contentOf,
  der,
  exportFolder,
  type Site,
  setUp,
  setup,
  site,
  TPMS,
} from './setup-site.ts'

const OURS = bin('swtpm')
/** Quick ones. */
const KEYS = ['--ek1keyalgo', 'secp256r1', '--ek2keyalgo', 'secp256r1']
const CERTIFICATES = ['--tpm2', '--create-ek-cert', '--create-platform-cert', ...KEYS]

/** The same place with its state in one file. */
const linear = (where: Site): Site => ({ ...where, state: `file://${join(where.state, 'tpm')}` })

async function run(t: TestContext, program: string, where: Site): Promise<Swtpm> {
  const socket = join(where.folder, 'socket')
  const uri = where.state.includes('://') ? where.state : `dir://${where.state}`
  const tpm = new Swtpm(
    [
      ...['socket', '--tpm2', '--tpmstate', `backend-uri=${uri}`, '--flags', 'startup-clear'],
      ...['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${socket}.ctrl`],
    ],
    { program },
  )
  t.after(() => tpm.stop('SIGKILL'))
  await tpm.until(() => isListening(socket) && isListening(`${socket}.ctrl`), 'it listens')
  // The C program locks the state at INIT only.
  const init = spawnSync(bin('swtpm_ioctl'), ['--unix', `${socket}.ctrl`, '-i'], { encoding: 'utf8' })
  assert.equal(init.status, 0, init.stderr)
  return tpm
}

for (const program of TPMS) {
  const which = program === REFERENCE_SWTPM ? 'reference swtpm' : 'our swtpm'
  for (const backend of ['directory', 'file']) {
    // What differs is how the state is locked.
    if (program === REFERENCE_SWTPM && backend === 'directory') continue
    test(`a TPM that runs is not touched, and its certificates are read (${backend}, ${which})`, async (t) => {
      const place = site(t)
      const where = backend === 'file' ? linear(place) : place
      setUp(where, OURS, ...CERTIFICATES, '--write-ek-cert-files', where.folder)
      const tpm = await run(t, program, where)
      const before = contentOf(place.state)
      const refused = setup(where, OURS, ['--tpm2', '--createek', '--overwrite'])
      assertRefused(
        refused,
        new RegExp(
          `^Cannot lock state .*: (held|in use) by process ${backend === 'file' ? '\\d+' : tpm.pid}$`,
          'm',
        ),
      )
      const folder = exportFolder(where)
      const kept = setUp(where, OURS, '--tpm2', '--not-overwrite', '--write-ek-cert-files', folder)
      assert.match(kept.stdout, /^Not overwriting existing state file\.$/m)
      assert.deepEqual(contentOf(place.state), before)
      assert.deepEqual(readdirSync(folder), ['ek-secp256r1.crt', 'ek-secp256r1.pub', 'platform.crt'])
      assert.deepEqual(readFileSync(join(folder, 'ek-secp256r1.crt')), der(where, 'ek-secp256r1.crt'))
      assert.ok(tpm.running)
    })
  }
}

test('a TPM of the other version is named, and replaced with --overwrite only', (t) => {
  for (const where of [site(t), linear(site(t))]) {
    const tpm2 = ['--tpm2', '--createek', ...KEYS]
    const folder = where.state.replace(/^file:\/\/|\/tpm$/g, '')
    setUp(where, OURS, ...tpm2)
    const before = contentOf(folder)
    for (const args of [[], ['--not-overwrite'], ['--createek', '--not-overwrite']]) {
      assertRefused(setup(where, OURS, args), /'permall' of a TPM 2\.0 at .*; pass --overwrite/)
    }
    assert.deepEqual(contentOf(folder), before)
    setUp(where, OURS, '--overwrite')
    assertRefused(setup(where, OURS, [...tpm2, '--not-overwrite']), /of a TPM 1\.2 at/)
    assert.match(setUp(where, OURS, '--not-overwrite').stdout, /Not overwriting/)
    assert.equal(contentOf(folder).size, 1, 'nothing of the TPM 2.0 is left')
  }
})

test('any state is a TPM; a state that is not complete is none to be kept', (t) => {
  const where = site(t)
  for (const [name, isKept] of [
    ['tpm2-00.permall.bak', true],
    ['tpm2-00.permall.journal', true],
    ['tpm2-00.volatilestate', false],
    ['tpm2-00.savestate', false],
  ] as const) {
    const path = join(where.state, name)
    writeFileSync(path, 'OLD')
    assertRefused(setup(where, OURS, ['--tpm2']), /Found existing TPM state/)
    assert.equal(setup(where, OURS, ['--tpm2', '--not-overwrite']).status, isKept ? 0 : 1)
    assert.equal(readFileSync(path, 'utf8'), 'OLD')
    execFileSync('rm', [path])
  }
})

test("a file of the user's is not overwritten by a certificate", (t) => {
  const where = site(t)
  const path = join(where.folder, 'ek-secp256r1.crt')
  writeFileSync(path, 'precious')
  const args = [...CERTIFICATES, '--write-ek-cert-files', where.folder]
  assertRefused(setup(where, OURS, args), /^Cannot write file ".*ek-secp256r1\.crt": there is another file/m)
  assert.equal(readFileSync(path, 'utf8'), 'precious')
  assert.deepEqual(contentOf(where.state).size, 0)
  setUp(where, OURS, ...args, '--overwrite')
  assert.equal(readFileSync(`${path}.old`, 'utf8'), 'precious')
  assert.notEqual(readFileSync(path, 'utf8'), 'precious')
  assert.ok(!readdirSync(where.folder).some((name) => name.endsWith('.swtpm_setup')))
})

test('a file that is no TPM is left alone, a link is followed', (t) => {
  const place = site(t)
  const where = linear(place)
  const path = join(place.state, 'tpm')
  writeFileSync(path, 'letters '.repeat(50))
  for (const args of [[], ['--overwrite'], ['--not-overwrite']]) {
    assertRefused(setup(where, OURS, ['--tpm2', ...args]), /it is not empty and no TPM's; remove it/)
  }
  assert.equal(readFileSync(path, 'utf8'), 'letters '.repeat(50))
  truncateSync(path)
  const link = join(place.folder, 'link')
  symlinkSync(path, link)
  setUp({ ...where, state: `file://${link}` }, OURS, '--tpm2', '--createek', ...KEYS)
  assert.ok(lstatSync(link).isSymbolicLink())
  assert.equal(readFileSync(path).readBigUInt64LE(0), 0x737774706d6c696en)
})

const NO_LOOP =
  process.getuid?.() === 0 && existsSync('/dev/loop-control') && spawnSync('losetup', ['-f']).status === 0
    ? false
    : 'a loop device is needed, and root: modprobe loop'

test('on a block device the old TPM stays until the new one is complete', { skip: NO_LOOP }, (t) => {
  const where = site(t)
  const image = join(where.folder, 'image')
  closeSync(openSync(image, 'w'))
  truncateSync(image, 128 * 1024)
  const device = execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim()
  t.after(() => execFileSync('losetup', ['-d', device]))
  const onDevice: Site = { ...where, state: `file://${device}` }
  const keys = ['--tpm2', '--createek', ...KEYS]
  setUp(onDevice, OURS, ...keys)
  const publicKey = (name: string): string => {
    const folder = exportFolder(where, name)
    setUp(onDevice, OURS, '--tpm2', '--write-ek-cert-files', folder)
    return readFileSync(join(folder, 'ek-secp256r1.pub'), 'utf8')
  }
  const first = publicKey('first')
  const before = readFileSync(device)
  assertRefused(setup(onDevice, OURS, keys), /Found existing TPM state 'permall' of a TPM 2\.0/)
  writeFileSync(where.config, 'create_certs_tool = /bin/false\n')
  assert.equal(setup(onDevice, OURS, ['--tpm2', '--create-ek-cert', ...KEYS, '--overwrite']).status, 1)
  assert.deepEqual(readFileSync(device), before)
  setUp(onDevice, OURS, ...keys, '--overwrite')
  const after = readFileSync(device)
  const slot = before.readUInt32LE(12)
  const size = before.readUInt32LE(16)
  assert.notEqual(after.readUInt32LE(12), slot, 'the new TPM is elsewhere')
  assert.deepEqual(after.subarray(slot, slot + size), before.subarray(slot, slot + size))
  assert.notEqual(publicKey('second'), first)
  setUp(onDevice, OURS, '--tpm2', '--reconfigure', '--pcr-banks=sha1')
  assert.deepEqual(readdirSync(where.temporary), [])
  assert.equal(basename(device).startsWith('loop'), true)
})

const NO_ROOT = process.getuid?.() === 0 ? false : 'only root makes a TPM for another user'

test('in the directory of another user root makes a TPM that is theirs', { skip: NO_ROOT }, (t) => {
  const where = site(t)
  const nobody = 65534
  chownSync(where.state, nobody, nobody)
  const keys = ['--tpm2', '--createek', ...KEYS]
  for (const args of [keys, [...keys, '--overwrite'], ['--tpm2', '--reconfigure', '--pcr-banks=sha1']]) {
    setUp(where, OURS, ...args)
    const { uid, gid, mode } = statSync(join(where.state, 'tpm2-00.permall'))
    assert.deepEqual([uid, gid, mode & 0o777], [nobody, nobody, 0o640], args.join(' '))
  }
})
