/** A passing line on a terminal, while nothing else is said. */
import { isatty } from 'node:tty'
import { printError } from '../../common/output.ts'

const ERASE_LINE = '\r\x1b[K'

export class Progress {
  readonly #isShown = isatty(2)
  #hasLine = false

  show(line: string): void {
    if (!this.#isShown) return
    printError(`${ERASE_LINE}  ${line} …`)
    this.#hasLine = true
  }

  end(): void {
    if (this.#hasLine) printError(ERASE_LINE)
    this.#hasLine = false
  }
}
