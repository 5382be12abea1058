/** A person at a shell: types keys at a terminal and reads off the command line what the Tab key made of it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Ctrl-X Ctrl-R, bound to writing the command line into a file. */
const REPORT = '\x18\x12'

export interface Shell {
  readonly name: string
  /** Its start on a terminal, reading nothing of the user's. */
  readonly command: string
  /** What makes the shell complete words, and write its line and a newline to $OUT on {@link REPORT}. */
  readonly startup: string
  readonly startupFile: string
}

export const bash = (completion: string): Shell => ({
  name: 'bash',
  command: 'bash --noprofile --rcfile "$HOME/bashrc" -i',
  startupFile: 'bashrc',
  startup: [
    completion,
    `bind 'set completion-query-items 0'`,
    `bind 'set page-completions off'`,
    `bind 'set bell-style none'`,
    `bind -x '"\\C-x\\C-r": printf "%s\\n" "$READLINE_LINE" >>"$OUT"'`,
    'PS1="READY> "',
  ].join('\n'),
})

export const zsh = (functionDirectory: string, first = ''): Shell => ({
  name: 'zsh',
  command: 'zsh -d -i',
  startupFile: '.zshrc',
  startup: [
    first,
    `fpath=(${functionDirectory} $fpath)`,
    'autoload -Uz compinit',
    'compinit -u -D',
    'setopt no_beep',
    'bindkey -e',
    "bindkey '^I' complete-word",
    'setopt no_auto_menu no_auto_list',
    'report() { print -r -- "$BUFFER" >>"$OUT" }',
    'zle -N report',
    "bindkey '^X^R' report",
    'PS1="READY> "',
  ].join('\n'),
})

/** @returns for each line typed (Tab is \t), what the command line then was */
export async function typed(shell: Shell, lines: readonly string[]): Promise<string[]> {
  const home = mkdtempSync(join(tmpdir(), `swtpm-${shell.name}-`))
  const out = join(home, 'out')
  writeFileSync(out, '')
  writeFileSync(join(home, shell.startupFile), `${shell.startup}\n`)
  // script(1) gives the shell a terminal; nothing of the caller's environment reaches it.
  const child = spawn('script', ['-qec', shell.command, '/dev/null'], {
    env: { HOME: home, ZDOTDIR: home, OUT: out, TERM: 'dumb', PATH: process.env.PATH, LANG: 'C.UTF-8' },
    cwd: home,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let screen = ''
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk) => {
        screen += chunk
        if (screen.includes('READY> ')) resolve()
      })
      child.on('error', reject)
      child.on('exit', () => reject(new Error(`${shell.name} has ended: ${screen}`)))
    })
    for (let index = 0; index < lines.length; index++) {
      // Ctrl-U empties the line.
      child.stdin.write(`${lines[index]}${REPORT}\x15`)
      await reported(out, index + 1, () => screen)
    }
    return readFileSync(out, 'utf8').split('\n').slice(0, lines.length)
  } finally {
    child.stdin.end('\x15exit\r')
    if (child.exitCode === null) {
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      await once(child, 'exit')
      clearTimeout(timer)
    }
    rmSync(home, { recursive: true, force: true })
  }
}

async function reported(file: string, count: number, screen: () => string): Promise<void> {
  const deadline = Date.now() + 20_000
  while (readFileSync(file, 'utf8').split('\n').length <= count) {
    if (Date.now() > deadline) throw new Error(`The shell did not answer; its screen: ${screen()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
