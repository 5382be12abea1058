/** The guest of a virtual machine of libvirt's. */
import { connect } from 'node:net'
import { GuestShell } from '../guest-shell.ts'
import type { Cleanup } from '../swtpm.ts'
import { waitFor } from '../wait.ts'
import { consoleFile, type Domain, shellSocket } from './domain.ts'
import type { LibvirtHost } from './host.ts'

/** Its shell, as long as the guest is on that host: to be asked for anew when it has been restored or moved. */
export async function guestShell(t: Cleanup, host: LibvirtHost, domain: Domain): Promise<GuestShell> {
  const stream = connect(host.root.path(shellSocket(domain)))
  t.after(() => stream.destroy())
  await new Promise<void>((resolve, reject) => {
    stream.once('connect', resolve)
    stream.once('error', reject)
  })
  let gone = false
  stream.on('close', () => {
    gone = true
  })
  return new GuestShell(stream, async (condition, what, timeoutMs) => {
    await waitFor(() => condition() || gone, { what, timeoutMs })
    if (condition()) return
    throw new Error(`the guest has gone before ${what}; its console: ${host.read(consoleFile(domain))}`)
  })
}
