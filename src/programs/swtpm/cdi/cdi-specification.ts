/**
 * What a container runtime is told of a TPM, as the Container Device Interface puts it.
 * @see https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
 */

export interface ContainerTpm {
  /** The name by which a container asks for it: `--device swtpm.internal/tpm=NAME`. */
  readonly name: string
  /** `/dev/tpmN`, or the device of `swtpm cuse`; undefined where the container gets the other one alone. */
  readonly device: string | undefined
  /** `/dev/tpmrmN`, where the kernel has made one, or `/dev/NAMErm` of `swtpm cuse`; there is none for a TPM 1.2. */
  readonly resourceManager: string | undefined
  /** What ends it with its container: the pid file of its swtpm, and what else goes then. */
  readonly end: { readonly pidFile: string; readonly files: readonly string[] } | undefined
}

/** Vendor and class; the top-level domain `internal` is reserved, so the vendor belongs to no company. */
export const DEFAULT_KIND = 'swtpm.internal/tpm'

/** deviceNodes.hostPath came with 0.5.0, which is all that podman 4.3 reads. */
export const VERSIONS = ['0.5.0', '0.6.0'] as const
export type CdiVersion = (typeof VERSIONS)[number]

export interface CdiSpecification {
  readonly cdiVersion: CdiVersion
  readonly kind: string
  readonly devices: readonly {
    readonly name: string
    readonly containerEdits: {
      readonly env: readonly string[]
      readonly deviceNodes: readonly {
        readonly path: string
        readonly hostPath: string
        readonly permissions: string
      }[]
      readonly hooks?: readonly {
        readonly hookName: 'poststop'
        readonly path: string
        readonly args: readonly string[]
      }[]
    }
  }[]
}

/** Inside its container a TPM is the first and only one. */
const INSIDE = { device: '/dev/tpm0', resourceManager: '/dev/tpmrm0' }

export function cdiSpecification(tpm: ContainerTpm, kind: string, cdiVersion: CdiVersion): CdiSpecification {
  const node = (path: string, hostPath: string) => ({ path, hostPath, permissions: 'rw' })
  const { name, device, resourceManager } = tpm
  const deviceNodes = device === undefined ? [] : [node(INSIDE.device, device)]
  if (resourceManager !== undefined) deviceNodes.push(node(INSIDE.resourceManager, resourceManager))
  const used = resourceManager === undefined ? INSIDE.device : INSIDE.resourceManager
  const edits = { env: [`TPM2TOOLS_TCTI=device:${used}`], deviceNodes }
  const hooks = tpm.end && { hooks: [endHook(tpm.end.pidFile, tpm.end.files)] }
  return { cdiVersion, kind, devices: [{ name, containerEdits: { ...edits, ...hooks } }] }
}

/**
 * Ends a TPM that still runs, and no other process: after a kill -9 another may have its number.
 *
 * The file names are arguments of the script, so that nothing in them is read as a part of it.
 */
const endHook = (pidFile: string, files: readonly string[]) => ({
  hookName: 'poststop' as const,
  path: '/bin/sh',
  args: [
    'sh',
    '-c',
    'read -r pid < "$0"; read -r name < "/proc/$pid/comm"; [ "$name" = swtpm ] && kill "$pid"; rm -f "$@"',
    pidFile,
    ...files,
  ],
})

/** @returns what is wrong with the vendor and class, if anything */
export function kindFault(kind: string): string | undefined {
  const [vendor = '', name, ...rest] = kind.split('/')
  if (name === undefined || rest.length > 0) return 'it must be a vendor and a class, "vendor.example/class"'
  if (!/^[A-Za-z]([\w.-]*[A-Za-z0-9])?$/.test(vendor)) return `"${vendor}" cannot be a vendor`
  if (!/^[A-Za-z]([\w-]*[A-Za-z0-9])?$/.test(name)) return `"${name}" cannot be a class`
  return undefined
}

export const isDeviceName = (name: string): boolean => /^[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?$/.test(name)

/** One file for each TPM, so that they come and go one by one; named as CDI's own library names such files. */
export const fileName = (kind: string, name: string): string =>
  `${kind.replace('/', '-')}_${name.replaceAll(':', '-')}.json`
