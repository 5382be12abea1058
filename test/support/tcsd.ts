/** TrouSerS' daemon and Debian's tpm-tools as its clients. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listens, Service } from './service.ts'
import type { Cleanup } from './swtpm.ts'
import { tool } from './tools.ts'
import { waitFor } from './wait.ts'

/** The port of the daemon's own documentation. */
export const TCSD_PORT = 30003
/** Where `tcsd -e` looks for its TPM unless told otherwise. */
export const SOFTWARE_TPM_PORT = 6545
interface TcsdOptions {
  readonly softwareTpm?: boolean
  /** Lines of the configuration file. */
  readonly settings?: readonly string[]
}

/** `tcsd -f`, listening; its files are in `directory`. */
export async function startTcsd(t: Cleanup, directory: string, options: TcsdOptions = {}): Promise<Service> {
  const file = join(directory, 'tcsd.conf')
  const lines = [
    `port = ${TCSD_PORT}`,
    `system_ps_file = ${directory}/system.data`,
    ...(options.settings ?? []),
    '',
  ]
  writeFileSync(file, lines.join('\n'))
  // The daemon insists on the owner and the mode of its configuration, and gives up its privileges.
  const [, , uid, gid] = (await tool('getent', ['passwd', 'tss'])).split(':')
  chownSync(file, 0, Number(gid))
  chmodSync(file, 0o640)
  chownSync(directory, Number(uid), Number(gid))
  const tcsd = new Service(t, '/usr/sbin/tcsd', ['-f', '-c', file, ...(options.softwareTpm ? ['-e'] : [])])
  await tcsd.until(() => listens(TCSD_PORT), 'it listens')
  return tcsd
}

export async function stopTcsd(tcsd: Service): Promise<void> {
  await tcsd.stop()
  await waitFor(async () => !(await listens(TCSD_PORT)), { what: "tcsd's port to be free" })
}

/** Owner and storage root key have the well-known secret, so that no tool asks for a password. */
const takeOwnership = (): Promise<string> =>
  tool('tpm_takeownership', ['--owner-well-known', '--srk-well-known'])

export const unseal = (file: string): Promise<string> => tool('tpm_unsealdata', ['-z', '-i', file])

/** The common way from a new TPM to an owner with sealed data, and what is left of it after a restart of everything. */
export async function useTpm(directory: string, restart: (sealed: string) => Promise<void>): Promise<void> {
  const version = await tool('tpm_version', [])
  assert.match(version, /Chip Version:\s+1\.2\./)
  assert.match(version, /TPM Vendor ID:\s+IBM/)
  assert.match(await tool('tpm_selftest', []), /TPM Test Results:/)

  await assert.rejects(tool('tpm_getpubek', []), 'there is no endorsement key yet')
  await tool('tpm_createek', [])
  assert.match(await tool('tpm_getpubek', []), /Key Size:\s+2048 bits/)
  await takeOwnership()
  const endorsementKey = await tool('tpm_getpubek', ['-z'])

  const secret = `kept by the TPM: ${randomBytes(300).toString('hex')}`
  const [plain, sealed] = [join(directory, 'plain'), join(directory, 'sealed')]
  writeFileSync(plain, secret)
  await tool('tpm_sealdata', ['-z', '-p', '16', '-i', plain, '-o', sealed])
  assert.match(readFileSync(sealed, 'latin1'), /BEGIN TSS/)
  assert.equal(await unseal(sealed), secret)

  const area = ['-i', '0x11', '-s', '32']
  await tool('tpm_nvdefine', [...area, '-y', '-z', '-p', 'AUTHREAD|AUTHWRITE'])
  await tool('tpm_nvwrite', ['-i', '0x11', '-z', '-d', 'thirty-two bytes of NV memory...'])
  const readArea = async (): Promise<string> => {
    const file = join(directory, 'area')
    await tool('tpm_nvread', [...area, '-z', '-f', file])
    return readFileSync(file, 'utf8')
  }
  assert.equal(await readArea(), 'thirty-two bytes of NV memory...')

  await restart(sealed)
  assert.equal(await tool('tpm_getpubek', ['-z']), endorsementKey)
  assert.equal(await readArea(), 'thirty-two bytes of NV memory...')
  // The storage root key is found by what the daemon's system persistent storage says of it.
  assert.equal(await unseal(sealed), secret)
}
