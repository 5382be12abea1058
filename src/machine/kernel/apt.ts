/** Fetches Debian packages without installing them. */
import { REMEDIES } from '../../system/missing-things.ts'
import { answerOf, runProgram } from '../host-program.ts'
import { MachineFault } from '../machine-fault.ts'

/** What the user is told meanwhile. */
export type Progress = (line: string) => void

/**
 * Brings apt's package lists up to date, which changes the host and takes root.
 * @param reason shown to the user
 */
export async function updatePackageLists(reason: string, onProgress: Progress): Promise<void> {
  if (process.geteuid?.() !== 0)
    throw new MachineFault(`apt's package lists are missing or old; they are needed ${reason}`, {
      hint: `Run \`sudo ${REMEDIES.packageLists.command}\`, then try again`,
    })
  onProgress(`apt-get update, ${reason}`)
  await runProgram('apt-get', ['update', '-q'], {
    hint: "Is this machine online, and are apt's sources right?",
  })
}

/** @param cwd where the file goes */
export async function downloadPackage(name: string, cwd: string, onProgress: Progress): Promise<void> {
  // apt drops to a user of its own that cannot write into a home directory; here there is no need to.
  const args = ['-o', 'APT::Sandbox::User=root', 'download', name]
  try {
    await runProgram('apt-get', args, { cwd })
  } catch {
    // The usual reason is a list that names a build the archive has replaced since.
    await updatePackageLists(`because ${name} could not be downloaded`, onProgress)
    await runProgram('apt-get', args, { cwd, hint: 'Is this machine online?' })
  }
}

/** @returns the newest version of a package that the archive has */
export const newestVersion = (name: string): string | undefined =>
  /^Version: (.*)$/m.exec(answerOf('apt-cache', ['show', '--no-all-versions', name]))?.[1]

/** @returns the package that a metapackage stands for: "linux-image-6.1.0-50-amd64" */
export const leadsTo = (metapackage: string): string | undefined =>
  /Depends: (linux-image-\S+)/.exec(answerOf('apt-cache', ['depends', metapackage]))?.[1]
