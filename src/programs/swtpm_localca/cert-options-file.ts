/** swtpm-localca.options: options of swtpm_cert, any number on a line. */

/** Splits at blanks and line ends; a part in single or double quotes may hold blanks. */
export function splitOptions(text: string): string[] {
  return Array.from(text.matchAll(/(?:"[^"\n]*"|'[^'\n]*'|[^\s"']|["'])+/g), ([word]) =>
    word.replace(/"([^"\n]*)"|'([^'\n]*)'/g, (_, double?: string, single?: string) => double ?? single ?? ''),
  )
}
