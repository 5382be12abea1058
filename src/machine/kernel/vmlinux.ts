/**
 * Takes the kernel proper out of its self-extracting image, so that the emulated processor need not do it: an xz
 * image takes the guest three seconds to unpack and the host half of one.
 */
import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { outputOf } from '../host-program.ts'

const XZ_MAGIC = Buffer.from('fd377a585a00', 'hex')

/**
 * Unpacks a kernel image that is compressed with xz. QEMU boots the result by its PVH entry point.
 * Other compressions (zstd) are quick enough to leave to the guest.
 * @param image a bzImage
 * @param target where the ELF file is to go
 * @returns whether the target was written
 * @see https://docs.kernel.org/arch/x86/boot.html for the fields of the header
 */
export async function unpackKernel(image: string, target: string): Promise<boolean> {
  const bytes = await readFile(image)
  const setupSectors = bytes[0x1f1] || 4
  const start = (setupSectors + 1) * 512 + bytes.readUInt32LE(0x248)
  const payload = bytes.subarray(start, start + bytes.readUInt32LE(0x24c))
  if (!payload.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC)) return false
  // The last four bytes are the unpacked size, which is no part of the xz stream.
  writeFileSync(target, outputOf('xz', ['-dc'], { input: payload.subarray(0, -4) }))
  return true
}
