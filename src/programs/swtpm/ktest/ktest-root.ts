/** `--root memory`: what of the host a command finds in the guest's memory. */
import { readdirSync } from 'node:fs'
import type { Entry } from '../../../machine/cpio.ts'
import { MemoryRoot } from '../../../machine/memory-root.ts'
import { findProgram } from '../../common/access.ts'
import { filesOfSwtpm } from './own-swtpm.ts'

/** Of the tools for TPMs what is installed, and the libraries by which they reach a device, which they load by name. */
const TPM_TOOLS = ['tpm2', 'tpm2_getrandom', 'tpm2_pcrread']
const LIBRARY_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib']
const DEVICE_TCTI = /^libtss2-tcti-device\.so/

export interface RootWishes {
  readonly command: readonly string[]
  /** `--with`: files, directories, and programs by name. */
  readonly with: readonly string[]
  /** TPMs are served in the guest. */
  readonly hasSwtpm: boolean
}

/** The command's words that are files or programs come by themselves. */
export function memoryRoot(wishes: RootWishes): readonly Entry[] {
  const root = new MemoryRoot()
  for (const word of wishes.with.filter((name) => name !== 'swtpm')) root.add(findProgram(word) ?? word)
  const [program = '', ...words] = wishes.command
  for (const path of [program, ...TPM_TOOLS].map(findProgram)) if (path !== undefined) root.add(path)
  for (const path of words.filter((word) => word.includes('/')).map(findProgram))
    if (path !== undefined) root.add(path)
  for (const folder of LIBRARY_FOLDERS) {
    for (const name of namesIn(folder)) if (DEVICE_TCTI.test(name)) root.add(`${folder}/${name}`)
  }
  if (wishes.hasSwtpm) for (const path of filesOfSwtpm()) root.add(path)
  return root.entries()
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
