/** Where a TPM listens for control commands or TPM commands. */

export type SocketEndpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type Endpoint = SocketEndpoint | { readonly kind: 'device'; readonly path: string }

/** As messages name it: `Unix socket "/run/x"`, `TCP port 127.0.0.1:6546`, `device "/dev/vtpm0"`. */
export function describeEndpoint(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'device':
      return `device "${endpoint.path}"`
    case 'unix':
      return `Unix socket "${endpoint.path}"`
    case 'tcp': {
      const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host
      return `TCP port ${host}:${endpoint.port}`
    }
  }
}
