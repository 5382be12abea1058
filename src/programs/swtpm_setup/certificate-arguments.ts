/** A key and its TPM as the certificate tools want them described on their command line. */
import type { PublicPart } from '../../tpm-commands/tpm2-commands.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** A public key the way the certificate tools take it. */
export function keyParameter(key: PublicPart, algorithm: string): string {
  if ('modulus' in key) return key.modulus.toString('hex')
  return `x=${key.x.toString('hex')},y=${key.y.toString('hex')},id=${algorithm}`
}

/** Where each option of the certificate tools is in swtpm's description of its TPM. */
const SPEC_OPTIONS = [
  ['TPMSpecification', 'family', '--tpm-spec-family'],
  ['TPMSpecification', 'level', '--tpm-spec-level'],
  ['TPMSpecification', 'revision', '--tpm-spec-revision'],
  ['TPMAttributes', 'manufacturer', '--tpm-manufacturer'],
  ['TPMAttributes', 'model', '--tpm-model'],
  ['TPMAttributes', 'version', '--tpm-version'],
] as const

/** @throws ToolFailure when swtpm's JSON lacks one of them */
export function specificationArguments(json: string): string[] {
  let info: Record<string, Record<string, unknown> | undefined> | null
  try {
    info = JSON.parse(json)
  } catch (error) {
    throw new ToolFailure(`Could not get the TPM spec and attribute parameters from '${json}'`, {
      cause: error,
    })
  }
  return SPEC_OPTIONS.flatMap(([group, name, option]) => {
    const value = info?.[group]?.[name]
    if (value === undefined) throw new ToolFailure(`Could not find [${group}][${name}] in '${json}'`)
    return [option, String(value)]
  })
}
