// What is shown of a TPM: that it computes, remembers, and is the same one after it was stopped and started again.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { UserError } from '../lib/command.mjs'
import { mustEqual } from './walkthrough.mjs'

/**
 * @typedef {object} DemoTpm
 * @property {string} title
 * @property {string} stateDir
 * @property {string} device /dev/tpm0, once it has started
 * @property {string} tcti how tpm2-tools reach it
 * @property {boolean} hasResourceManager otherwise keys stay loaded until they are flushed
 * @property {(walkthrough: import('./walkthrough.mjs').Walkthrough) => Promise<void>} start
 * @property {(walkthrough: import('./walkthrough.mjs').Walkthrough) => Promise<void>} stop
 * @property {() => Promise<void>} abandon
 */

const NV_INDEX = '0x1500016'

/** @param {Buffer | string} data */
const sha256 = (data) => createHash('sha256').update(data).digest()

/**
 * Starts a TPM, uses it, stops it, starts it again on the same state; leaves it running.
 *
 * @param {DemoTpm} tpm
 * @param {import('./walkthrough.mjs').Walkthrough} walkthrough
 */
export async function tour(tpm, walkthrough) {
  walkthrough.heading(tpm.title)
  await mkdir(path.join(walkthrough.cwd, tpm.stateDir))
  await tpm.start(walkthrough)
  walkthrough.set('TPM2TOOLS_TCTI', tpm.tcti)
  await randomNumbers(walkthrough)
  await platformRegisters(walkthrough, tpm)
  await signature(walkthrough, tpm)
  const secret = await writeNv(walkthrough)
  await tpm.stop(walkthrough)
  await tpm.start(walkthrough)
  await walkthrough.run(`tpm2_nvread ${NV_INDEX} -C o`, (stdout) => {
    mustEqual('NV index after the restart', stdout, secret)
    return `still "${stdout}": the same TPM, on the state it had stored`
  })
}

/** @param {import('./walkthrough.mjs').Walkthrough} walkthrough */
async function randomNumbers(walkthrough) {
  await walkthrough.run('tpm2_getrandom --hex 16', (stdout) => {
    if (!/^[0-9a-f]{32}$/.test(stdout.trim())) throw new UserError(`Not 16 bytes in hex: "${stdout}"`)
    return `random bytes ${stdout.trim()}`
  })
}

/** @param {import('./walkthrough.mjs').Walkthrough} walkthrough @param {DemoTpm} tpm */
async function platformRegisters(walkthrough, tpm) {
  const measured = sha256('something measured')
  const expected = sha256(Buffer.concat([Buffer.alloc(32), measured])).toString('hex')
  await walkthrough.run(`tpm2_pcrextend 16:sha256=${measured.toString('hex')}`, () => 'PCR 16 extended')
  await walkthrough.run('tpm2_pcrread sha256:16', (stdout) => {
    const value = /0x([0-9A-F]{64})/.exec(stdout)?.[1]?.toLowerCase()
    mustEqual('PCR 16', value, expected)
    return `PCR 16 is ${expected.slice(0, 16)}…, as it should be`
  })
  const sysfs = `/sys/class/tpm/${path.basename(tpm.device)}/pcr-sha256/16`
  if (!existsSync(sysfs)) return
  await walkthrough.run(`cat ${sysfs}`, (stdout) => {
    mustEqual(sysfs, stdout.trim().toLowerCase(), expected)
    return 'the kernel reads the same value'
  })
}

/** @param {import('./walkthrough.mjs').Walkthrough} walkthrough @param {DemoTpm} tpm */
async function signature(walkthrough, tpm) {
  await writeFile(path.join(walkthrough.cwd, 'message'), 'A message to sign\n')
  const made = (/** @type {string} */ name, /** @type {string} */ what) => () => {
    if (!existsSync(path.join(walkthrough.cwd, name))) throw new UserError(`"${name}" was not written`)
    return what
  }
  await walkthrough.run(
    'tpm2_createprimary -C o -G ecc256 -c primary.ctx',
    made('primary.ctx', 'a primary key, derived from the owner’s seed'),
  )
  await walkthrough.run(
    'tpm2_create -C primary.ctx -G ecc256:ecdsa -c key.ctx -u key.pub -r key.priv',
    made('key.ctx', 'a signing key that never leaves the TPM'),
  )
  await unloadKeys(walkthrough, tpm)
  await walkthrough.run('tpm2_readpublic -c key.ctx -f pem -o key.pem', made('key.pem', 'its public half'))
  await walkthrough.run(
    'tpm2_sign -c key.ctx -g sha256 -f plain -o signature message',
    () => `signed: ${readFileSync(path.join(walkthrough.cwd, 'signature')).length} bytes`,
  )
  await walkthrough.run(
    'tpm2_verifysignature -c key.ctx -g sha256 -m message -f ecdsa -s signature',
    () => 'the TPM accepts the signature',
  )
  await walkthrough.run('openssl dgst -sha256 -verify key.pem -signature signature message', (stdout) => {
    mustEqual('openssl', stdout.trim(), 'Verified OK')
    return 'and so does OpenSSL'
  })
  await unloadKeys(walkthrough, tpm)
}

/**
 * A TPM has room for three loaded keys, and every command that names a key loads it. /dev/tpmrmN unloads them again;
 * a CUSE device has no such helper.
 *
 * @param {import('./walkthrough.mjs').Walkthrough} walkthrough
 * @param {DemoTpm} tpm
 */
async function unloadKeys(walkthrough, tpm) {
  if (tpm.hasResourceManager) return
  await walkthrough.run('tpm2_flushcontext -t', () => 'keys unloaded: here no resource manager does it')
}

/** @param {import('./walkthrough.mjs').Walkthrough} walkthrough @returns {Promise<string>} what was written */
async function writeNv(walkthrough) {
  // Another text each time: what is read back later cannot be left from an earlier run.
  const secret = `remember ${randomBytes(4).toString('hex')}`
  await walkthrough.run(
    `tpm2_nvdefine ${NV_INDEX} -C o -s ${secret.length} -a 'ownerread|ownerwrite'`,
    () => `NV index ${NV_INDEX} defined`,
  )
  await walkthrough.run(`printf '${secret}' | tpm2_nvwrite ${NV_INDEX} -C o -i -`, () => 'written')
  return secret
}
