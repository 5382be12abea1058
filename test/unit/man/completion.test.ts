/** The completion files in the shells that read them, with the Tab key. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { completionFiles } from '../../../completions/files.ts'
import { projectRoot } from './project-root.ts'
import { bash, typed, zsh } from './typing.ts'

const files = completionFiles(join(projectRoot, 'completions'))
const work = mkdtempSync(join(tmpdir(), 'swtpm-completion-'))
after(() => rmSync(work, { recursive: true, force: true }))

const state = join(work, 'state')
mkdirSync(join(state, 'machine one'), { recursive: true })
writeFileSync(join(state, 'key.hex'), '')
const functions = join(work, 'functions')
mkdirSync(functions)
for (const [name, text] of files.zsh) writeFileSync(join(functions, name), text)

/** Where the shell finds swtpm. */
const IN_PATH = `export PATH=${join(projectRoot, 'bin')}:$PATH`

/** What is typed, and what the line is then, in bash and (where it differs) in zsh. */
const cases: [keys: string, bash: string, zsh?: string][] = [
  ['swtpm so\t', 'swtpm socket '],
  ['swtpm comp\t', 'swtpm completion '],
  ['swtpm cuse --fore\t', 'swtpm cuse --foreground '],
  ['swtpm fleet --tp\t', 'swtpm fleet --tpms ', 'swtpm fleet --tpms='],
  ['swtpm fleet rem\t', 'swtpm fleet remove '],
  ['swtpm fleet --seccomp act\t', 'swtpm fleet --seccomp action='],
  ['swtpm fleet add a -- cus\t', 'swtpm fleet add a -- cuse '],
  [
    'swtpm fleet add a -- socket --tpms\t',
    'swtpm fleet add a -- socket --tpmstate ',
    'swtpm fleet add a -- socket --tpmstate=',
  ],
  ['swtpm kt\t', 'swtpm ktest '],
  ['swtpm ktest --fail\t', 'swtpm ktest --fail-on ', 'swtpm ktest --fail-on='],
  ['swtpm cdi wr\t', 'swtpm cdi write '],
  ['swtpm cdi write --dev\t', 'swtpm cdi write --device ', 'swtpm cdi write --device='],
  // An interface does not know the options of another one.
  ['swtpm cuse --serv\t', 'swtpm cuse --serv'],
  // Options with an argument, and lists of sub-options: no blank where the word goes on.
  ['swtpm socket --tpms\t', 'swtpm socket --tpmstate ', 'swtpm socket --tpmstate='],
  ['swtpm socket --tpmstate di\t', 'swtpm socket --tpmstate dir='],
  [`swtpm socket --tpmstate dir=${state.slice(0, -2)}\t`, `swtpm socket --tpmstate dir=${state}/`],
  [`swtpm socket --tpmstate dir=${state}/mach\t`, `swtpm socket --tpmstate dir=${state}/machine\\ one/`],
  [`swtpm socket --tpmstate=dir=${state}/mach\t`, `swtpm socket --tpmstate=dir=${state}/machine\\ one/`],
  ['swtpm socket --ctrl type=unixio,cl\t', 'swtpm socket --ctrl type=unixio,clientfd='],
  ['swtpm socket --ctrl type=u\t', 'swtpm socket --ctrl type=unixio', 'swtpm socket --ctrl type=unixio,'],
  ['swtpm socket --ctrl=type=u\t', 'swtpm socket --ctrl=type=unixio', 'swtpm socket --ctrl=type=unixio,'],
  ['swtpm socket --flags startup-c\t', 'swtpm socket --flags startup-clear'],
  ['swtpm socket --tpmstate lock=f\t', 'swtpm socket --tpmstate lock=false'],
  [`swtpm chardev --key file=${state}/k\t`, `swtpm chardev --key file=${state}/key.hex`],
  [`swtpm chardev --key file=/k,kd\t`, `swtpm chardev --key file=/k,kdf=`],
  ['swtpm cuse --runas roo\t', 'swtpm cuse --runas root '],
  // The language of --fault, which the program knows.
  ['swtpm socket --fault PCR_Ext\t', 'swtpm socket --fault PCR_Extend'],
  ['swtpm socket --fault GetRandom:rc=RET\t', 'swtpm socket --fault GetRandom:rc=RETRY'],
  ['swtpm trace --grep PCR_Ext\t', 'swtpm trace --grep PCR_Extend'],
  ['swtpm fault /s rem\t', 'swtpm fault /s remove '],
  ['swtpm fault /s add GetRandom:mu\t', 'swtpm fault /s add GetRandom:mute'],
  ['swtpm_cuse --maj\t', 'swtpm_cuse --maj ', 'swtpm_cuse --maj='],

  ['swtpm_ioctl --lock\t', 'swtpm_ioctl --lock-storage ', 'swtpm_ioctl --lock-storage='],
  ['swtpm_ioctl --save per\t', 'swtpm_ioctl --save permanent '],
  [`swtpm_ioctl --save permanent ${state}/k\t`, `swtpm_ioctl --save permanent ${state}/key.hex `],
  [`swtpm_ioctl -c ${state}/k\t`, `swtpm_ioctl -c ${state}/key.hex `],
  [`swtpm_ioctl --unix ${state}/k\t`, `swtpm_ioctl --unix ${state}/key.hex `],
  ['swtpm_bios --tpm2 --uni\t', 'swtpm_bios --tpm2 --unix ', 'swtpm_bios --tpm2 --unix='],
  ['swtpm_setup --tpm-s\t', 'swtpm_setup --tpm-state ', 'swtpm_setup --tpm-state='],
  ['swtpm_setup --create-ek-\t', 'swtpm_setup --create-ek-cert '],
  ['swtpm_setup --cipher aes-2\t', 'swtpm_setup --cipher aes-256-cbc '],
  [`swtpm_setup --config ${state}/k\t`, `swtpm_setup --config ${state}/key.hex `],
  ['swtpm_localca --type pl\t', 'swtpm_localca --type platform '],
  ['swtpm_cert --ecc-curveid secp5\t', 'swtpm_cert --ecc-curveid secp521r1 '],
]

/** zsh shows that a comma or blank may follow by putting one that vanishes; what it stands for is the same. */
const withoutSuffix = (line: string): string => line.replace(/[ ,=]$/, '')

test('bash goes on with options, sub-options, values and files', async () => {
  const shell = bash([IN_PATH, ...files.bash.values()].join('\n'))
  const lines = await typed(
    shell,
    cases.map(([keys]) => keys),
  )
  assert.deepEqual(
    lines,
    cases.map(([, expected]) => expected),
  )
})

test('bash does so with "=" and ":" no word breaks', async () => {
  const shell = bash(
    `${[IN_PATH, ...files.bash.values()].join('\n')}\nCOMP_WORDBREAKS=\${COMP_WORDBREAKS//[=:]/}`,
  )
  const lines = await typed(
    shell,
    cases.map(([keys]) => keys),
  )
  assert.deepEqual(
    lines,
    cases.map(([, expected]) => expected),
  )
})

test('bash-completion finds the files by the names of the programs', async () => {
  const directory = join(work, 'data/bash-completion/completions')
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of files.bash) writeFileSync(join(directory, name), text)
  const shell = bash(
    `export XDG_DATA_DIRS=${work}/data:/usr/share\n. /usr/share/bash-completion/bash_completion`,
  )
  assert.deepEqual(await typed(shell, ['swtpm so\t', 'swtpm_setup --tpm2 --pcr-b\t']), [
    'swtpm socket ',
    'swtpm_setup --tpm2 --pcr-banks ',
  ])
})

test('zsh goes on with options, sub-options, values and files', async () => {
  const lines = await typed(
    zsh(functions, IN_PATH),
    cases.map(([keys]) => keys),
  )
  assert.deepEqual(
    lines.map(withoutSuffix),
    cases.map(([, inBash, expected = inBash]) => withoutSuffix(expected)),
  )
})
