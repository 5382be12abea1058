/** `swtpm state` on states of ours: what it tells, what it never tells, and what it leaves behind. */
import assert from 'node:assert/strict'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openStateBlob } from '../../src/tpm/state/stored/state-blob.ts'
import { readStoredTpm } from '../../src/tpm/state/stored/stored-tpm.ts'
import { CMD } from '../support/control-commands.ts'
import { type PoweredTpm, startPoweredTpm } from '../support/powered-tpm.ts'
import { runState, shown } from '../support/state-command.ts'
import { type Cleanup, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { EMPTY_PASSWORD, responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const PERMANENT = 'tpm2-00.permall'
const INDEX = '0x01500001'
const PASSPHRASE = 'a passphrase for tests'

async function ok(tpm: PoweredTpm, command: Uint8Array): Promise<Buffer> {
  const response = await tpm.command(command)
  assert.equal(responseCode(response), 0)
  return response
}

/** A primary key, or a sealed object, under a persistent handle. */
async function persist(tpm: PoweredTpm, create: Buffer, handle: string): Promise<void> {
  const transient = (await ok(tpm, create)).toString('hex', 10, 14)
  await ok(tpm, tpm2(0x120, ['40000001', transient, EMPTY_PASSWORD, handle], true))
  await ok(tpm, tpm2(0x165, [transient]))
}

/** A TPM with something of everything, shut down. */
async function madeTpm(t: Cleanup, ...args: string[]): Promise<string> {
  const tpm = await startPoweredTpm(t, args)
  await tpm.writeNv()
  await tpm.shutDown()
  return tpm.directory
}

function passphraseFile(t: Cleanup, text = PASSPHRASE): string {
  const path = join(temporaryDirectory(t), 'passphrase')
  writeFileSync(path, text)
  return path
}

const filesIn = (directory: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(directory)
      .filter((name) => name !== '.lock')
      .map((name) => [
        name,
        `${statSync(join(directory, name)).mtimeMs} ${readFileSync(join(directory, name), 'hex')}`,
      ]),
  )

describe('swtpm state show', () => {
  it('tells what a TPM has and nothing that it keeps secret, beside one that runs', async (t) => {
    const tpm = await startPoweredTpm(t, [])
    const password = Buffer.from('owner-password-that-is-a-secret!')
    const sealed = Buffer.from('sealed-data-that-must-stay-inside')
    await tpm.writeNv()
    await persist(tpm, TPM2.createPrimaryEcc, '81000001')
    // A sealed object under the owner, with data and a password of its own, made persistent.
    const sensitive = Buffer.concat([
      Buffer.from([0, 4]),
      Buffer.from('pass'),
      Buffer.from([0, sealed.length]),
      sealed,
    ])
    const keyedHash = '0008 000b 00000052 0000 0010 0000'
    const outside = [14, keyedHash, 0, '00000000']
    const create = ['40000001', EMPTY_PASSWORD, sensitive.length, sensitive, ...outside]
    await persist(tpm, tpm2(0x131, create, true), '81000002')
    await ok(tpm, TPM2.pcrExtend(16, Buffer.alloc(32, 0x77)))
    await ok(tpm, tpm2(0x129, ['40000001', EMPTY_PASSWORD, password.length, password], true))
    assert.equal(await tpm.vmm.control(CMD.STORE_VOLATILE), '00000000')

    const before = filesIn(tpm.directory)
    const page = runState('show', tpm.directory)
    assert.equal(page.status, 0, page.stderr)
    const { place, contents, tpmVersion, states, faults } = shown(tpm.directory)
    assert.deepEqual(filesIn(tpm.directory), before, 'it only looks')
    assert.deepEqual(faults, [])
    assert.equal(tpmVersion, '2.0')
    assert.deepEqual(states.map(({ type }) => type).sort(), ['permanent', 'volatile'])
    assert.equal(place.usedBy, tpm.swtpm.pid)
    assert.equal(contents?.asOf, 'volatile state')
    assert.deepEqual(
      contents?.nv.map(({ index, bytes }) => [index, bytes]),
      [[INDEX, 32]],
    )
    assert.deepEqual(
      contents?.persistent.map(({ handle, type }) => [handle, type]),
      [
        ['0x81000001', 'ECC NIST_P256'],
        ['0x81000002', 'KEYEDHASH'],
      ],
    )
    assert.equal(contents?.authorizationSet.owner, true)
    assert.equal(contents?.authorizationSet.lockout, false)
    const sha256 = contents?.pcrBanks.find(({ algorithm }) => algorithm === 'sha256')
    assert.match(sha256?.values?.[16] ?? '', /^(?!0+$)[0-9a-f]{64}$/)

    for (const text of [page.stdout + page.stderr, JSON.stringify(shown(tpm.directory))]) {
      for (const secret of [password, sealed, Buffer.from('thirty-two bytes that must stay.')])
        for (const form of ['utf8', 'hex', 'base64'] as const)
          assert.ok(!text.toLowerCase().includes(secret.toString(form).toLowerCase()), `${form} of a secret`)
      assertNothingOfIt(text, tpm.directory)
    }
    // It was not disturbed.
    await tpm.checkNv()
    await tpm.shutDown()
  })

  it('tells what is in a journal', async (t) => {
    const tpm = await startPoweredTpm(t, [])
    await tpm.writeNv()
    for (const index of [0x01500002, 0x01500003]) await ok(tpm, TPM2.nvDefine(index))
    const { states, contents } = shown(tpm.directory)
    // The journal ends after two seconds without a store.
    if (existsSync(join(tpm.directory, `${PERMANENT}.journal`))) assert.equal(states[0]?.from, 'journal')
    assert.equal(contents?.nv.length, 3)
    await tpm.shutDown()
  })

  it('tells the header of an encrypted state, and what the key opens', async (t) => {
    const key = `pwdfile=${passphraseFile(t)},mode=aes-256-cbc`
    const directory = await madeTpm(t, '--key', key)
    const without = runState('show', directory)
    assert.equal(without.status, 3)
    assert.match(without.stdout, /aes-256-cbc/)
    assert.match(without.stderr, /it is encrypted, and no state key was given; --key/)
    assert.equal(shown(directory, '--key', key).contents?.nv[0]?.index, INDEX)
    const wrong = runState(
      'show',
      directory,
      '--key',
      `pwdfile=${passphraseFile(t, 'another one')},mode=aes-256-cbc`,
    )
    assert.equal(wrong.status, 3)
    assert.match(wrong.stderr, /the key is another one, or the state was changed/)
  })

  it('of a migration blob, encrypted or not', async (t) => {
    const migration = `pwdfile=${passphraseFile(t)}`
    const tpm = await startPoweredTpm(t, ['--migration-key', migration])
    await tpm.writeNv()
    const file = join(temporaryDirectory(t), 'blob')
    const answer = await tpm.vmm.controlWithData(`${CMD.GET_STATEBLOB} 00000000 00000001 00000000`)
    writeFileSync(file, Buffer.from(answer.slice(32), 'hex'))
    assert.deepEqual(
      shown(file, '--migration-key', migration).contents?.nv.map(({ index }) => index),
      [INDEX],
    )
    assert.equal(runState('show', file).status, 3)
    await tpm.shutDown()
  })
})

/** No twelve bytes of the state are in the text as hex digits, but for names, which are digests of public areas, and PCRs. */
function assertNothingOfIt(text: string, directory: string): void {
  const { contents } = shown(directory)
  const known = [
    ...(contents?.persistent ?? []).map(({ name }) => name),
    ...(contents?.pcrBanks ?? []).flatMap(({ values = {} }) => Object.values(values)),
  ]
  for (const { name, bytes } of readStoredTpm({ kind: 'dir', path: directory }).blobs) {
    const plain = openStateBlob(bytes, {})
    for (const [digits] of text.matchAll(/[0-9a-f]{24,}/g)) {
      if (known.includes(digits) || digits.length % 2 !== 0) continue
      for (let at = 0; at + 24 <= digits.length; at += 2) {
        const window = Buffer.from(digits.slice(at, at + 24), 'hex')
        assert.ok(!plain.includes(window), `${digits} is in ${name}`)
      }
    }
  }
}

describe('swtpm state verify', () => {
  it('says what is damaged', async (t) => {
    const directory = await madeTpm(t)
    const file = join(directory, PERMANENT)
    const whole = readFileSync(file)
    const said = (bytes: Buffer) => {
      writeFileSync(file, bytes)
      const { status, stderr, stdout } = runState('verify', directory)
      assert.doesNotMatch(stderr, /\n {4}at |node:internal/)
      return { status, text: stderr + stdout }
    }
    const changed = (at: number, byte: number): Buffer => {
      const copy = Buffer.from(whole)
      copy[at] = byte
      return copy
    }
    assert.deepEqual(said(whole).status, 0)
    for (const [bytes, words] of [
      [whole.subarray(0, whole.length - 1), /its header says \d+ bytes, there are \d+/],
      [whole.subarray(0, 5), /too few for a header/],
      [Buffer.alloc(0), /its 0 bytes are too few/],
      [changed(0, 9), /version 9 \(readable from 1 on\) is not supported/],
      [changed(5, 0x40), /flags 0x40/],
      [changed(1, 3), /its newest state is in a journal, which is missing/],
      [changed(19, 0xff), /what is in it is no state of libtpms/],
      // The magic number and the version are right, what follows is not.
      [
        Buffer.concat([whole.subarray(0, 60), Buffer.alloc(whole.length - 60, 0xff)]),
        /libtpms refuses the state/,
      ],
    ] as const) {
      const { status, text } = said(bytes)
      assert.equal(status, 2, text)
      assert.match(text, words)
    }
    rmSync(file)
    assert.equal(runState('verify', directory).status, 1)
    mkdirSync(file)
    assert.match(runState('verify', directory).stderr, /it is no regular file/)
  })

  it('of a linear file that is cut off anywhere', async (t) => {
    const directory = await madeTpm(t)
    const file = join(temporaryDirectory(t), 'linear')
    assert.equal(runState('convert', directory, file).status, 0)
    const whole = readFileSync(file)
    for (const length of [1, 10, 191, 192, 300, 512, 600, 1000]) {
      writeFileSync(file, whole.subarray(0, length))
      const { status, stderr } = runState('verify', `file://${file}`)
      assert.equal(status, 2, `${length}: ${stderr}`)
      assert.match(stderr, /^swtpm state: Cannot use state/)
    }
  })
})

describe('swtpm state backup', () => {
  it('copies a TPM that stores, as it was at one moment, for its owner alone', async (t) => {
    const tpm = await startPoweredTpm(t, [])
    await tpm.writeNv()
    for (let index = 0x01500010; index < 0x01500018; index++) await ok(tpm, TPM2.nvDefine(index))
    const copy = join(temporaryDirectory(t), 'copy')
    const { status, stdout, stderr } = runState('backup', tpm.directory, copy)
    assert.equal(status, 0, stderr)
    assert.match(stdout, new RegExp(`process ${tpm.swtpm.pid} uses the TPM`))
    assert.equal(statSync(copy).mode & 0o777, 0o700)
    assert.deepEqual(readdirSync(copy), [PERMANENT])
    assert.equal(statSync(join(copy, PERMANENT)).mode & 0o777, 0o600)
    assert.equal(shown(copy).contents?.nv.length, 9)
    const again = runState('backup', tpm.directory, copy)
    assert.equal(again.status, 1)
    assert.match(again.stderr, /it is there already; name another place/)
    await tpm.shutDown()
    const other = await startPoweredTpm(t, [], { directory: copy })
    await other.checkNv()
    await other.shutDown()
  })
})

describe('swtpm state convert', () => {
  it('there and back has the same bytes, and a TPM starts on each', async (t) => {
    const directory = await madeTpm(t)
    const folder = temporaryDirectory(t)
    const [file, back] = [join(folder, 'linear'), join(folder, 'back')]
    assert.equal(runState('convert', directory, file).status, 0)
    assert.equal(runState('convert', file, back).status, 0)
    assert.deepEqual(readFileSync(join(back, PERMANENT)), readFileSync(join(directory, PERMANENT)))
    assert.deepEqual(readdirSync(folder).sort(), ['back', 'linear'])
    const tpm = await startPoweredTpm(t, [], { directory: back })
    await tpm.checkNv()
    await tpm.shutDown()
    assert.equal(shown(file).contents?.nv[0]?.index, INDEX)
  })

  it('overwrites nothing unless it is told to, and nothing that is no TPM', async (t) => {
    const [one, other] = [await madeTpm(t), await madeTpm(t)]
    const folder = temporaryDirectory(t)
    const file = join(folder, 'linear')
    runState('convert', one, file)
    const before = readFileSync(file)
    const refused = runState('convert', other, file)
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /there is a TPM already; name another place, or say --overwrite/)
    assert.deepEqual(readFileSync(file), before)
    assert.equal(runState('convert', other, file, '--overwrite').status, 0)
    assert.equal(runState('convert', file, one).status, 1)
    assert.equal(runState('convert', file, one, '--overwrite').status, 0)
    assert.deepEqual(readFileSync(join(one, PERMANENT)), readFileSync(join(other, PERMANENT)))
    writeFileSync(file, 'a letter to a friend')
    assert.match(runState('convert', one, file, '--overwrite').stderr, /no TPM's/)
    assert.match(runState('convert', one, `dir://${one}`).stderr, /is the place where the TPM is/)
    assert.match(runState('convert', one, join(folder, 'no/such/folder')).stderr, /mkdir -p/)
  })

  it('makes plain files of a journal, and only when no TPM runs there', async (t) => {
    const tpm = await startPoweredTpm(t, [])
    await tpm.writeNv()
    for (let index = 0x01500010; index < 0x01500014; index++) await ok(tpm, TPM2.nvDefine(index))
    const locked = runState('convert', tpm.directory)
    assert.equal(locked.status, 1)
    assert.match(locked.stderr, new RegExp(`held by process ${tpm.swtpm.pid}`))
    // As a power cut leaves it.
    const cut = temporaryDirectory(t)
    cpSync(tpm.directory, cut, { recursive: true })
    await tpm.shutDown()
    const { status, stderr } = runState('convert', cut)
    assert.equal(status, 0, stderr)
    assert.deepEqual(
      readdirSync(cut).filter((name) => name !== '.lock'),
      [PERMANENT],
    )
    assert.equal(readFileSync(join(cut, PERMANENT))[1], 1, 'its newest state is in itself')
    assert.equal(shown(cut).contents?.nv.length, 5)
  })
})

describe('swtpm state rekey', () => {
  it('encrypts all states of a TPM, changes the key, and takes it away', async (t) => {
    const directory = temporaryDirectory(t)
    const tpm = await startPoweredTpm(t, ['--tpmstate', `dir=${directory},backup`])
    await tpm.writeNv()
    assert.equal(await tpm.vmm.control(CMD.STORE_VOLATILE), '00000000')
    await tpm.swtpm.stop('SIGKILL')
    // Its engine stores what it has to, and then lets go of the state.
    await waitFor(() => runState('convert', directory).status === 0, { what: 'the end of the engine' })
    const names = readdirSync(directory).filter((name) => name.startsWith('tpm2-'))
    const keys = ['one', 'another'].map((word) => `pwdfile=${passphraseFile(t, `passphrase ${word}`)}`)
    const steps: readonly (readonly string[])[] = [
      ['--new-key', `${keys[0]},mode=aes-256-cbc`],
      ['--key', `${keys[0]},mode=aes-256-cbc`, '--new-key', `${keys[1]},kdf=sha512`],
      ['--key', `${keys[1]},kdf=sha512`, '--no-key'],
    ]
    for (const step of steps) {
      const { status, stderr } = runState('rekey', directory, ...step)
      assert.equal(status, 0, stderr)
      const newKey = step.at(-2) === '--new-key' ? ['--key', step.at(-1) as string] : []
      assert.equal(runState('verify', directory, ...newKey).status, 0)
      const { states } = shown(directory, ...newKey)
      assert.equal(states.length, names.length)
      assert.ok(states.every(({ encryption }) => (encryption?.file === undefined) === (newKey.length === 0)))
      assert.deepEqual(
        readdirSync(directory)
          .filter((name) => name !== '.lock')
          .sort(),
        names.sort(),
      )
    }
  })

  it('changes nothing without the right key', async (t) => {
    const directory = await madeTpm(t)
    const key = `pwdfile=${passphraseFile(t)}`
    const before = filesIn(directory)
    for (const [args, words] of [
      [['--key', key, '--no-key'], /it is not encrypted, and a key was given; leave --key out/],
      [[], /--new-key KEY or --no-key/],
      [['--new-key', key, '--no-key'], /one of the two/],
      [['--new-key', 'mode=aes-512-cbc'], /--new-key: mode/],
      [['--new-key', 'secret'], /^(?![\s\S]*secret)/],
    ] as const) {
      const { status, stderr } = runState('rekey', directory, ...args)
      assert.notEqual(status, 0)
      assert.match(stderr, words)
    }
    assert.deepEqual(filesIn(directory), before)
  })

  it('of a linear file, which starts with the new key only', async (t) => {
    const file = join(temporaryDirectory(t), 'linear')
    runState('convert', await madeTpm(t), file)
    const key = `pwdfile=${passphraseFile(t)},mode=aes-256-cbc`
    assert.equal(runState('rekey', file, '--new-key', key).status, 0)
    assert.equal(runState('verify', file).status, 3)
    assert.equal(runState('verify', file, '--key', key).status, 0)
    const directory = temporaryDirectory(t)
    copyFileSync(file, join(directory, 'linear'))
    const { swtpm } = await startSocketTpm(
      t,
      ['--tpm2', '--flags', 'not-need-init,startup-clear', '--key', key],
      {
        directory,
        backend: 'file',
      },
    )
    assert.equal(runState('rekey', join(directory, 'linear'), '--key', key, '--no-key').status, 1, 'it runs')
    await swtpm.stop()
  })
})

it('swtpm state explains itself, and does not understand everything', () => {
  assert.match(runState('--help').stdout, /swtpm state show \/var\/lib\/tpm/)
  assert.match(runState('shwo').stderr, /did you mean "show"/)
  assert.match(runState('show').stderr, /Missing PLACE/)
  assert.match(runState('show', '/a', '/b').stderr, /Unexpected argument "\/b"/)
  assert.match(runState('show', '/nonexistent\n\x1b[2J').stderr, /"\/nonexistent\\x0a\\x1b\[2J"/)
  assert.match(
    runState('backup', '/tmp', '--json', '/x').stderr,
    /--json is for show, verify, not for backup/,
  )
})
