/** A kernel that a machine boots, as files of the host. */
export interface Kernel {
  /** What the user calls it: "6.1", or the path. */
  readonly series: string
  /** What `uname -r` says in the guest, "6.1.0-50-amd64". */
  readonly release: string
  /** What boots quickest: a bzImage, or an ELF file with a PVH entry point. */
  readonly image: string
  readonly bzImage: string
  /** Where its modules are: /lib/modules/RELEASE, or a build tree; undefined: it needs none. */
  readonly modules: string | undefined
  /** The unpacked package: other files made for this kernel may be put here; undefined: it is somebody else's. */
  readonly directory: string | undefined
}
