/**
 * A value that is made when it is first asked for, and kept. For tables that a start of swtpm does not read.
 * @returns a function that has it
 */
export function lazily<T extends object>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
