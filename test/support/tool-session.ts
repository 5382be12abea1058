/** What tpm2-tools ask of any TPM: PCRs, an NV index, a sealed secret. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tpm2Tools } from './tools.ts'

const SECRET = 'correct horse'
const NV_INDEX = '0x1500016'

/** @param flushes no resource manager does it: each tool leaves its objects in the TPM */
export async function useWithTools(tcti: string, directory: string, flushes = true): Promise<void> {
  const tpm2 = tpm2Tools(tcti)
  const file = (name: string): string => join(directory, name)
  const flush = async (): Promise<void> => {
    if (flushes) await tpm2('flushcontext', '-t')
  }
  await tpm2('pcrextend', `16:sha256=${'11'.repeat(32)}`)
  assert.match(await tpm2('pcrread', 'sha256:16'), /16: 0x[0-9A-F]{64}/)
  writeFileSync(file('secret'), SECRET)
  await tpm2('createprimary', '-Q', '-c', file('primary'))
  await flush()
  await tpm2(
    'create',
    '-Q',
    '-C',
    file('primary'),
    '-i',
    file('secret'),
    '-u',
    file('pub'),
    '-r',
    file('priv'),
  )
  await flush()
  await tpm2('load', '-Q', '-C', file('primary'), '-u', file('pub'), '-r', file('priv'), '-c', file('sealed'))
  await flush()
  assert.equal(await tpm2('unseal', '-c', file('sealed')), SECRET)
  await flush()
  await tpm2('nvdefine', '-Q', NV_INDEX, '-s', '8')
  writeFileSync(file('data'), '12345678')
  await tpm2('nvwrite', '-Q', NV_INDEX, '-i', file('data'))
  assert.equal(await tpm2('nvread', NV_INDEX), '12345678')
  await tpm2('nvundefine', '-Q', NV_INDEX)
}
