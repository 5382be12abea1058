/** Opens a TPM by what a command line says of it. */
import { join } from 'node:path'
import type { OtherTpmConfig } from './config.ts'
import { DeviceTpm } from './device-tpm.ts'
import type { OtherTpm } from './other-tpm.ts'
import { SocketTpm } from './socket-tpm.ts'

/**
 * @param root the directory that will be the root: paths are below it; '' without --chroot
 * @throws SwtpmError SWTPM_ERR_OTHER_TPM
 */
export async function openOtherTpm(config: OtherTpmConfig, root = ''): Promise<OtherTpm> {
  switch (config.kind) {
    case 'device':
      return new DeviceTpm(below(root, config.path))
    case 'unix': {
      const path = below(root, config.path)
      return SocketTpm.open(path, { path })
    }
    case 'tcp': {
      const { host, port } = config
      return SocketTpm.open(`${host.includes(':') ? `[${host}]` : host}:${port}`, { host, port })
    }
  }
}

const below = (root: string, path: string): string => (root === '' ? path : join(root, path))
