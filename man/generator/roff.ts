/** Text as troff reads it, in the man(7) macros. @see man(7), groff_char(7), mandoc_char(7) */

const LINE_WIDTH = 78

/** Plain text: nothing in it is a request, an escape or a typographic quote. */
export function literal(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
    .replace(
      /[^\x20-\x7e\n]/gu,
      (char) => `\\[u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`,
    )
}

export const bold = (text: string): string => `\\fB${literal(text)}\\fR`
export const italic = (text: string): string => `\\fI${literal(text)}\\fR`

/** How an argument is written: words bold, PLACEHOLDERS italic, brackets and bars plain. A line may end before those. */
export function synopsis(text: string): string {
  return text.replace(/[A-Z][A-Z]*|[[\]|]+|[^A-Z[\]|]+/g, (part) => {
    if (/^[A-Z]/.test(part)) return italic(part)
    return /^[[\]|]/.test(part) ? part.replaceAll(/[[|]/g, '\\:$&') : bold(part)
  })
}

/** Options, other pages and environment variables, as they stand out in a sentence. */
const MARKED = /(--[a-z0-9][\w-]*)|\b([a-z][\w-]*)(\(\d\))|\b((?:S?W?TPM|TCSD|XDG)_[A-Z_]+)\b/g

/** Sentences of a table, each on lines of its own. */
export function prose(text: string): string[] {
  return text.split(/(?<=[.!])\s+(?=[A-Z])/).flatMap((sentence) => {
    let marked = ''
    let end = 0
    for (const match of sentence.matchAll(MARKED)) {
      const [whole, option, page, section, variable] = match
      marked += literal(sentence.slice(end, match.index))
      if (option !== undefined) marked += bold(option)
      else if (page !== undefined) marked += bold(page) + section
      else marked += italic(variable!)
      end = match.index + whole.length
    }
    return fill(marked + literal(sentence.slice(end)))
  })
}

/** Breaks at blanks; a line must not begin with what troff takes for a request. */
function fill(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= LINE_WIDTH)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(/^[.']/.test(word) ? `\\&${word}` : word)
  }
  return lines
}
