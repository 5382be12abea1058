import { existsSync, readFileSync } from 'node:fs'

/** The name of this machine's distribution, such as bookworm. @returns {string | undefined} @see os-release(5) */
export function debianSuite() {
  const file = '/etc/os-release'
  if (!existsSync(file)) return undefined
  return /^VERSION_CODENAME=(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1]
}
