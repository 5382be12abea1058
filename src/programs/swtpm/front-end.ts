/** The front end that a configuration names. */
import { serveCuse } from '../../cuse/cuse-front-end.ts'
import type { SwtpmConfig } from '../../serve/config.ts'
import type { Session } from '../../serve/session.ts'
import { serveSocket } from '../../serve/socket/socket-front-end.ts'
import { serveChardev } from '../../vtpm-proxy/chardev-front-end.ts'

/** Serves until the session ends. @throws SwtpmError */
export function serveFrontEnd(session: Session, config: SwtpmConfig): Promise<void> {
  switch (config.interface) {
    case 'socket':
      return serveSocket(session, config)
    case 'chardev':
      return serveChardev(session, config)
    case 'cuse':
      return serveCuse(session, config)
  }
}

/** Whether a new device comes into being, which takes root. */
export const makesDevice = (config: SwtpmConfig): boolean =>
  config.interface === 'cuse' || (config.interface === 'chardev' && config.device.kind === 'vtpm-proxy')
