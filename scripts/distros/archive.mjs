// Debian's archive, as apt of this machine reaches it: other suites are fetched from the same place, in the same way.

import { capture, UserError } from '../lib/command.mjs'
import { updatePackageLists } from '../setup/apt.mjs'

/** What decides how apt reaches an archive, and whether it trusts the dates of one. */
const WAYS = ['http', 'https', 'Retries', 'ForceIPv4', 'ForceIPv6', 'Check-Date', 'Check-Valid-Until']

/** @returns {Promise<string>} the URI of the archive that this machine's own packages come from */
export async function debianArchive() {
  const found = search()
  if (found) return found
  await updatePackageLists("to find Debian's archive")
  const afterwards = search()
  if (afterwards) return afterwards
  throw new UserError("Cannot find Debian's archive among the sources of apt on this machine", {
    hint: 'Add a source of Debian, such as its main archive, to /etc/apt/sources.list.d',
  })
}

/** @returns {string | undefined} */
function search() {
  const format = '$(ORIGIN)\t$(LABEL)\t$(REPO_URI)'
  const targets = capture('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'])
  const rows = targets.split('\n').map((line) => line.split('\t'))
  return rows.find(([origin, label]) => origin === 'Debian' && label === 'Debian')?.[2]
}

/** @returns {string} lines of apt.conf(5) */
export function aptOptions() {
  const settings = capture('apt-config', ['dump', '--format', '%F "%v";%n'])
  const wanted = new RegExp(`^Acquire::(${WAYS.join('|')})(::[^ ]*)? "[^"]+";$`)
  return settings
    .split('\n')
    .filter((line) => wanted.test(line))
    .concat('')
    .join('\n')
}
