/** The project's top directory: the nearest one above the bundled test that has a package.json. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const projectRoot = ((): string => {
  let folder = __dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()
