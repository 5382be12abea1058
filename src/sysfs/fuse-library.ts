/** fuse-native, an optional dependency: FUSE for Node, with the threads that the kernel's requests are taken from. */
import { closeSync } from 'node:fs'
import { dirname } from 'node:path'
import type Fuse from 'fuse-native'
import { sentenceOf } from '../system/fault.ts'
import { DeviceDirectory } from '../system/io/device-directory.ts'
import { openDeviceMaker } from '../system/io/device-maker.ts'
import { installedFile } from '../system/paths.ts'
import { reasonOf } from '../system/reason.ts'

const PACKAGE = 'fuse-native'
/** The library of the system that the package's native part is linked with. */
const LIBRARY = 'libfuse.so.2'

/** @throws Error with a message for the user: what is missing, and what to type */
export async function loadFuse(): Promise<typeof Fuse> {
  refuseWithoutDevice()
  try {
    return (await import('fuse-native')).default
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason = reasonOf(error).split('\n', 1)[0] ?? ''
    if (code === 'MODULE_NOT_FOUND' && reason.includes(PACKAGE))
      throw new Error(
        `the npm package ${PACKAGE} is not installed; \`npm install --no-save --prefix ${ownFolder()} ${PACKAGE}\` installs it`,
        { cause: error },
      )
    const missing = reason.includes(LIBRARY)
      ? `; Debian has it in the package libfuse2: \`apt-get install libfuse2\``
      : ''
    throw new Error(`cannot load ${PACKAGE}: ${reason}${missing}`, { cause: error })
  }
}

/** Above which Node looks for packages. */
const ownFolder = (): string => dirname(dirname(installedFile('dist/swtpm.js', 'npm run build')))

/** @throws Error */
function refuseWithoutDevice(): void {
  const devices = DeviceDirectory.open()
  try {
    closeSync(openDeviceMaker({ name: 'fuse', module: 'fuse' }, devices, ''))
  } catch (error) {
    throw new Error(sentenceOf(error).replace(/^C/, 'c'), { cause: error })
  } finally {
    devices.close()
  }
}
