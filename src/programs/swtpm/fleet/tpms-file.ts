/**
 * The file of `--tpms`: a TPM a line, `NAME: socket --tpm2 --tpmstate dir=…`. Empty lines and those that begin with `#` are
 * left out. Words are separated by blanks and quoted as in a shell: '…' is literal, in "…" and outside `\` takes the next
 * character as it is; nothing is expanded. A `\` at the end of a line joins the next one to it.
 */
import { SwtpmError } from '../../../system/errors.ts'
import { reasonOf } from '../../../system/reason.ts'

/** What the shell, logs and file names take without quotes. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

export interface TpmLine {
  /** Counted from 1. */
  readonly number: number
  readonly name: string
  readonly words: readonly string[]
}

export interface LineFault {
  readonly number: number
  readonly reason: string
}

/** @throws SwtpmError SWTPM_ERR_FLEET saying what a name can be */
export function checkName(name: string): void {
  if (!NAME.test(name)) {
    throw new SwtpmError(
      'SWTPM_ERR_FLEET',
      `"${name}" cannot be a TPM's name: up to 64 letters, digits and _ - . of which the first is a letter or digit`,
    )
  }
}

/** One bad line does not spoil the others. */
export function readTpmLines(text: string): { readonly tpms: TpmLine[]; readonly faults: LineFault[] } {
  const tpms: TpmLine[] = []
  const faults: LineFault[] = []
  for (const { number, content } of joinedLines(text)) {
    const line = content.trim()
    if (line === '' || line.startsWith('#')) continue
    try {
      const colon = line.indexOf(':')
      if (colon < 0) throw new Error('there is no "NAME:" in front; write NAME: socket --tpm2 …')
      const name = line.slice(0, colon).trim()
      checkName(name)
      tpms.push({ number, name, words: splitWords(line.slice(colon + 1)) })
    } catch (error) {
      faults.push({ number, reason: reasonOf(error) })
    }
  }
  return { tpms, faults }
}

/** @throws Error for a quote that is not closed */
export function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string
    if (character === '\\' && quote !== "'") {
      const next = text[++at]
      if (next === undefined) throw new Error('it ends with "\\"')
      word = (word ?? '') + next
    } else if (quote !== '') {
      if (character === quote) quote = ''
      else word = (word ?? '') + character
    } else if (character === '"' || character === "'") {
      quote = character
      word ??= ''
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? '') + character
    }
  }
  if (quote !== '') throw new Error(`a quotation that begins with ${quote} does not end`)
  if (word !== undefined) words.push(word)
  return words
}

function* joinedLines(text: string): Generator<{ number: number; content: string }> {
  let content = ''
  let first = 0
  for (const [index, line] of text.split('\n').entries()) {
    if (content === '') first = index + 1
    if (/(^|[^\\])(\\\\)*\\$/.test(line) && !line.trimStart().startsWith('#')) {
      content += `${line.slice(0, -1)} `
      continue
    }
    yield { number: first, content: content + line }
    content = ''
  }
  if (content !== '') yield { number: first, content }
}
