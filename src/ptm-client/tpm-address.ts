/** Where a TPM listens for control commands or TPM commands. */

export type SocketAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type TpmAddress = SocketAddress | { readonly kind: 'device'; readonly path: string }

/** As messages name it: `Unix socket "/run/x"`, `TCP port 127.0.0.1:6546`, `device "/dev/vtpm0"`. */
export function describeAddress(address: TpmAddress): string {
  switch (address.kind) {
    case 'device':
      return `device "${address.path}"`
    case 'unix':
      return `Unix socket "${address.path}"`
    case 'tcp': {
      const host = address.host.includes(':') ? `[${address.host}]` : address.host
      return `TCP port ${host}:${address.port}`
    }
  }
}
