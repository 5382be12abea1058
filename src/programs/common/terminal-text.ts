/** Text that another user has chosen, for a terminal that must not obey it. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach the terminal
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Control characters, and those that turn the direction of writing, as `\x1b`. */
export const terminalText = (text: string): string =>
  text.replace(CONTROL_CHARACTERS, (character) => {
    const code = character.codePointAt(0) as number
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`
  })
