/** What scripts use of this room: they load it bundled (scripts/vm/load.mjs). */
export { cpio, directory, file, symlink } from './cpio.ts'
export { availableSeries, ensureKernel, isKernelAtHand } from './kernel/debian.ts'
export { runInGuest } from './machine.ts'
export { MachineFault } from './machine-fault.ts'
export { collectModules } from './modules.ts'
