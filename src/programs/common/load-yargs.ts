/** yargs, which lays out the help. It is most of a program's code, so only help and completion load it. */
import { workingDirectory } from '../../system/surroundings.ts'

/** For a program that prints something and ends: it may be in another working directory afterwards. */
export async function loadYargs() {
  // yargs asks for it when it is loaded, and throws when it has been removed.
  if (workingDirectory() === undefined) process.chdir('/')
  const { default: yargs } = await import('yargs')
  return yargs
}
