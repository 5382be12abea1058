/** --create-config-files: a configuration of one's own, with a CA under one's own home. */
import { existsSync, mkdirSync, unlinkSync } from 'node:fs'
import { type, version } from 'node:os'
import { join } from 'node:path'
import { installedFile } from '../../system/paths.ts'
import { reasonOf } from '../../system/reason.ts'
import { findProgram } from '../common/access.ts'
import { writeFileAtomic } from '../common/atomic-file.ts'
import { SYSTEM_CONFIG_DIR, userConfigDir } from '../common/config-file.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { DEFAULT_PCR_BANKS } from './pcr-banks.ts'

const CHOICES = ['overwrite', 'root', 'skip-if-exist']

export function createConfigFiles(choices: string): void {
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
  const files = configFiles(userConfigDir())
  const existing = files.find(([path]) => existsSync(path))?.[0]
  if (existing !== undefined && !overwrite) {
    if (given.includes('skip-if-exist')) return
    throw new ToolFailure(`File ${existing} already exists. Refusing to overwrite.`)
  }
  writeAll(files)
}

type NamedText = readonly [path: string, text: string]

function writeAll(files: readonly NamedText[]): void {
  const caDir = join(userConfigDir(), 'var', 'lib', 'swtpm-localca')
  try {
    mkdirSync(caDir, { recursive: true, mode: 0o775 })
  } catch (error) {
    throw new ToolFailure(`Could not create ${caDir}: ${reasonOf(error)}`, { cause: error })
  }
  for (const [path, text] of files) {
    printOut(`Writing ${path}.\n`)
    try {
      writeFileAtomic(path, text, 0o644)
    } catch (error) {
      // Half a configuration would shadow the system's: better none.
      for (const [written] of files) if (existsSync(written)) unlinkSync(written)
      throw new ToolFailure(`Could not write to ${path}: ${reasonOf(error)}`, { cause: error })
    }
  }
}

function configFiles(folder: string): NamedText[] {
  const [setup, localca, options] = ['swtpm_setup.conf', 'swtpm-localca.conf', 'swtpm-localca.options'].map(
    (name) => join(folder, name),
  ) as [string, string, string]
  const caDir = join(folder, 'var', 'lib', 'swtpm-localca')
  const underscored = (text: string): string => text.replaceAll(' ', '_')
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
    [
      localca,
      lines(
        `statedir = ${caDir}`,
        `signingkey = ${join(caDir, 'signkey.pem')}`,
        `issuercert = ${join(caDir, 'issuercert.pem')}`,
        `certserial = ${join(caDir, 'certserial')}`,
      ),
    ],
    [
      options,
      lines(
        `--platform-manufacturer ${underscored(type())}`,
        `--platform-version ${underscored(version())}`,
        `--platform-model ${underscored(type())}`,
      ),
    ],
  ]
}

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\n`).join('')

/** The path under which swtpm_localca is called: the installed name when there is one, since that outlives an update. */
function ownLocalca(): string {
  return findProgram('swtpm_localca') ?? installedFile('bin/swtpm_localca', 'npm run build')
}
