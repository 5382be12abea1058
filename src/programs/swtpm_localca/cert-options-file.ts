/**
 * swtpm-localca.options: options of swtpm_cert, any number on a line. `#` at the start of a line makes it a comment, and
 * `${NAME}` is replaced by the environment, but not in single quotes.
 */
import type { CertOptionsFile } from '../common/ca-choice.ts'
import { expandEnvironment, linesOf } from '../common/config-file.ts'

/**
 * Splits at blanks and line ends; a part in single or double quotes may hold blanks.
 * @throws ToolFailure for an environment variable that is not there
 */
export function splitOptions(file: CertOptionsFile, environment: NodeJS.ProcessEnv = process.env): string[] {
  return linesOf(file.text).flatMap((line, index) => {
    if (line.startsWith('#')) return []
    const place = `"${file.path}", line ${index + 1}`
    const expand = (text: string): string => expandEnvironment(text, environment, place)
    return Array.from(line.matchAll(WORD), ([word]) =>
      word.replace(PIECE, (piece, double?: string, single?: string) => single ?? expand(double ?? piece)),
    )
  })
}

const WORD = /(?:"[^"]*"|'[^']*'|[^\s"']|["'])+/g
const PIECE = /"([^"]*)"|'([^']*)'|[^"']+|["']/g
