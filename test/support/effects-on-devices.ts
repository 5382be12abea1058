/** What a client of each kind of device sees of each effect: asked of real devices, and written as a table of words. */
import { connect } from 'node:net'
import { createTpm, type Device, type Exposure, type Tpm } from '../../src/library/index.ts'
import { resultText } from '../../src/tpm-structures/result-codes.ts'

/** 8 random bytes. */
const GET_RANDOM = '80010000000c0000017b0008'
const WHOLE_BYTES = 20
const HEADER_BYTES = 10
const PATIENCE_MS = 60_000

/** A rule for the first GetRandom of a client, and whether the TPM or its device is another one afterwards. */
export interface EffectCase {
  readonly effect: string
  readonly destructive?: boolean
}

/** Every effect of the language, in its order. */
export const EFFECT_CASES: readonly EffectCase[] = [
  { effect: 'delay=100ms' },
  { effect: 'stall' },
  { effect: 'late=100ms' },
  { effect: 'rc=FAILURE' },
  { effect: 'rc=RETRY' },
  { effect: 'respond=80010000000a00000101' },
  { effect: 'previous' },
  { effect: 'truncate=12' },
  { effect: 'shorten=19' },
  { effect: 'append=10' },
  { effect: 'size=+1' },
  { effect: 'tag=00c4' },
  { effect: 'flip=9' },
  { effect: 'set=randomBytes.size:64' },
  { effect: 'drop' },
  { effect: 'mute' },
  { effect: 'double' },
  { effect: 'hangup', destructive: true },
  { effect: 'unplug', destructive: true },
  { effect: 'pieces=8' },
  { effect: 'errno=EIO', destructive: true },
  { effect: 'crash', destructive: true },
  { effect: 'powercut', destructive: true },
  { effect: 'reset', destructive: true },
  { effect: 'forget=sessions' },
]

/** Whether a device stays for all that leave it as it is: the kernel takes long to register another one. */
const isKernelDriver = ({ path }: Device): boolean => path.startsWith('/dev/tpm')

/** @returns effect → what the client saw */
export async function seenOn(where: () => Exposure): Promise<Map<string, string>> {
  const seen = new Map<string, string>()
  let tpm: Tpm | undefined
  let device: Device | undefined
  try {
    for (const { effect, destructive = false } of EFFECT_CASES) {
      tpm ??= await createTpm()
      device ??= await tpm.expose(where())
      seen.set(effect, await seenBy(tpm, device, effect))
      if (!destructive && isKernelDriver(device)) continue
      await device.close()
      device = undefined
      if (!destructive) continue
      await tpm.close()
      tpm = undefined
    }
  } finally {
    await tpm?.close()
  }
  return seen
}

async function seenBy(tpm: Tpm, device: Device, effect: string): Promise<string> {
  // The first one: the kernel's driver asks again by itself.
  using fault = tpm.fault(`GetRandom[bytesRequested=8]#1: ${effect}`)
  const struck = fault.next({ timeoutMs: PATIENCE_MS })
  const outcome = device.path.startsWith('/dev/')
    ? readDevice(device, ENDS.has(effect) || isKernelDriver(device))
    : readConnection(device, ENDS.has(effect) ? 'end of file' : 'nothing')
  const exchange = await struck
  // The fault is there until then.
  if (isKernelDriver(device)) return await outcome
  // What is given is given by then. Whoever waits for more waits for ever, and is sent away.
  if (effect !== 'stall') await exchange.delivered
  // Somebody who is told does not have to be sent away.
  const told = ENDS.has(effect) ? await outcome : undefined
  await device.unplug()
  const words = told ?? (await outcome)
  return effect === 'stall' && words === 'CANCELED' ? 'nothing' : words
}

/** Effects that end the connection of a client. */
const ENDS = new Set(['hangup', 'errno=EIO', 'crash'])

/** Every byte until the end of the connection. */
function readConnection({ path }: Device, none: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(path, () => socket.write(Buffer.from(GET_RANDOM, 'hex')))
    socket
      .on('data', (chunk) => chunks.push(chunk))
      .on('close', () => resolve(wordsOf(Buffer.concat(chunks), none)))
      .on('error', reject)
  })
}

/** @param tells whether an error is what the effect gives, and not how a read() ends whose device is taken away */
async function readDevice(device: Device, tells: boolean): Promise<string> {
  const file = await device.open()
  try {
    return wordsOf((await file.exchange(GET_RANDOM)).bytes, 'end of file')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    return tells ? code : 'nothing'
  } finally {
    await file.close()
  }
}

function wordsOf(bytes: Buffer, none: string): string {
  if (bytes.length === 0) return none
  if (isWhole(bytes)) return 'success'
  if (bytes.length === HEADER_BYTES) {
    const code = bytes.readUInt32BE(6)
    return code === 0 ? 'an empty success' : resultText(code, '2')
  }
  const first = bytes.subarray(0, WHOLE_BYTES)
  if (bytes.length === 2 * WHOLE_BYTES && isWhole(first)) return 'success, twice'
  if (bytes.length !== WHOLE_BYTES) return `${bytes.length} bytes`
  return 'as altered'
}

const isWhole = (bytes: Buffer): boolean =>
  bytes.length === WHOLE_BYTES &&
  bytes.readUInt16BE(0) === 0x8001 &&
  bytes.readUInt32BE(2) === WHOLE_BYTES &&
  bytes.readUInt32BE(6) === 0 &&
  bytes.readUInt16BE(10) === 8
