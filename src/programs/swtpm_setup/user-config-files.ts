/** --create-config-files: a configuration of one's own, with a CA under one's own home. */

import { existsSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { makeDirectories } from '../../system/make-directories.ts'
import { installedFile } from '../../system/paths.ts'
import { reasonOf } from '../../system/reason.ts'
import { currentUserName, findProgram } from '../common/access.ts'
import { writeFileAtomic, writeNewFile } from '../common/atomic-file.ts'
import { CA_CONFIG_NAME, CERT_OPTIONS_NAME, caSettingsIn, platformOptionsText } from '../common/ca-choice.ts'
import { SYSTEM_CONFIG_DIR, userConfigDir } from '../common/config-choice.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { DEFAULT_PCR_BANKS } from './pcr-banks.ts'

const CHOICES = ['overwrite', 'root', 'skip-if-exist']

export function createConfigFiles(choices: string, log: ToolLog): void {
  const given = choices.split(/[, ]/).filter((choice) => choice !== '')
  const unknown = given.find((choice) => !CHOICES.includes(choice))
  if (unknown !== undefined) {
    throw new ToolFailure(
      `Option --create-config-files does not know "${unknown}"; it takes ${CHOICES.join(', ')}`,
    )
  }
  const overwrite = given.includes('overwrite')
  if (overwrite && given.includes('skip-if-exist')) {
    throw new ToolFailure('Cannot use overwrite together with skip-if-exist: give one of them')
  }
  if (process.getuid?.() === 0 && !given.includes('root')) {
    throw new ToolFailure(
      `Requiring the 'root' flag since the configuration files will shadow those in ${SYSTEM_CONFIG_DIR}.`,
    )
  }
  const folder = userConfigDir()
  if (folder === undefined) {
    throw new ToolFailure(
      `Cannot write configuration files: user ${currentUserName()} has no home directory; set XDG_CONFIG_HOME to a directory of this user`,
    )
  }
  if (/#|\$\{/.test(folder)) {
    throw new ToolFailure(
      `Cannot write configuration files for "${folder}": "#" and "\${" mean something else in them; set XDG_CONFIG_HOME to another directory`,
    )
  }
  const files = configFiles(folder)
  const existing = files.find(([path]) => existsSync(path))?.[0]
  if (existing !== undefined && !overwrite) {
    if (given.includes('skip-if-exist')) return
    throw new ToolFailure(`File ${existing} already exists. Refusing to overwrite.`)
  }
  const write = overwrite ? writeFileAtomic : given.includes('skip-if-exist') ? writeIfMissing : writeNewFile
  writeAll(files, caSettingsIn(folder).statedir, write, log)
}

/** Another process may be writing the same: libvirt asks for it with each machine that it starts. */
const writeIfMissing: typeof writeNewFile = (...file) => {
  try {
    writeNewFile(...file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

type NamedText = readonly [path: string, text: string]

function writeAll(
  files: readonly NamedText[],
  caFolder: string,
  write: typeof writeNewFile,
  log: ToolLog,
): void {
  try {
    makeDirectories(caFolder, 0o775)
  } catch (error) {
    throw new ToolFailure(`Cannot make directory "${caFolder}": ${reasonOf(error)}`, { cause: error })
  }
  const added: string[] = []
  for (const [path, text] of files) {
    if (!log.quiet) printOut(`Writing ${path}.\n`)
    try {
      const isNew = !existsSync(path)
      write(path, text, 0o644)
      if (isNew) added.push(path)
    } catch (error) {
      // Half a configuration would shadow the system's: better none.
      for (const file of added) unlinkSync(file)
      throw new ToolFailure(`Cannot write "${path}": ${reasonOf(error)}`, { cause: error })
    }
  }
}

function configFiles(folder: string): NamedText[] {
  const [setup, localca, options] = ['swtpm_setup.conf', CA_CONFIG_NAME, CERT_OPTIONS_NAME].map((name) =>
    join(folder, name),
  ) as [string, string, string]
  return [
    [
      setup,
      lines(
        `create_certs_tool = ${ownLocalca()}`,
        `create_certs_tool_config = ${localca}`,
        `create_certs_tool_options = ${options}`,
        '# Comma-separated list (no spaces) of PCR banks to activate by default',
        `active_pcr_banks = ${DEFAULT_PCR_BANKS}`,
        '# Folder with profiles of your own, NAME.json each',
        `local_profiles_dir = ${join(folder, 'etc', 'swtpm', 'profiles')}/`,
      ),
    ],
    [localca, lines(...Object.entries(caSettingsIn(folder)).map(([name, value]) => `${name} = ${value}`))],
    [options, platformOptionsText()],
  ]
}

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join('')

/** The path under which swtpm_localca is called: the installed name when there is one, since that outlives an update. */
function ownLocalca(): string {
  return findProgram('swtpm_localca') ?? installedFile('bin/swtpm_localca', 'npm run build')
}
