/** What each command of swtpm_ioctl sends and prints. */
import {
  PTM_CONFIG_FLAG_FILE_KEY,
  PTM_CONFIG_FLAG_MIGRATION_KEY,
  PTM_INIT_FLAG_DELETE_VOLATILE,
} from '../../../contract/verb-structures.ts'
import { PTM_CAP_SEND_COMMAND_HEADER, VERBS, verbNames } from '../../../contract/verbs.ts'
import type { PtmClient } from '../../ptm-client/ptm-client.ts'
import type { GivenOption } from '../common/options/given-options.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { loadBlob, parseBlobType, saveBlob } from './blob-files.ts'
import { checkResult } from './check-result.ts'
import { hash } from './hash.ts'
import type { IoctlOption } from './ioctl-options.ts'
import { parseInfoFlags, parseLocality, parseUint32 } from './numbers.ts'

/** Between two attempts to lock the storage, in milliseconds. */
const LOCK_RETRY_MS = 10

type Action = (client: PtmClient, show: Show) => Promise<void>

/** Prints what the TPM has said: as text that scripts compare with the C program's, or with --json as JSON. */
export type Show = (text: string, json: Readonly<Record<string, unknown>>) => void

/** Reads the command's arguments, so that a mistake shows before anything is sent. */
type Command = (given: GivenOption, streamChunk: number | undefined) => Action

/** A verb without request and without anything to print. */
const plain =
  (verb: 'SHUTDOWN' | 'STOP' | 'CANCEL_TPM_CMD' | 'STORE_VOLATILE'): Command =>
  () =>
  async (client) => {
    checkResult(verb, await client.call(verb, {}))
  }

const withLocality =
  (verb: 'SET_LOCALITY' | 'RESET_TPMESTABLISHED'): Command =>
  ({ value }) => {
    const loc = parseLocality(value)
    return async (client) => {
      checkResult(verb, await client.call(verb, { loc }))
    }
  }

export const ioctlCommands: { readonly [option in IoctlOption]?: Command } = {
  c: () => async (client, show) => {
    const { caps } = checkResult('GET_CAPABILITY', await client.call('GET_CAPABILITY', {}))
    show(`ptm capability is 0x${caps.toString(16)}\n`, {
      flags: Number(caps),
      verbs: verbNames.filter((verb) => (Number(caps) & VERBS[verb].cap) !== 0),
      sendCommandHeader: (Number(caps) & PTM_CAP_SEND_COMMAND_HEADER) !== 0,
    })
  },
  i: () => async (client) => {
    checkResult('INIT', await client.call('INIT', { initFlags: PTM_INIT_FLAG_DELETE_VOLATILE }))
  },
  stop: plain('STOP'),
  s: plain('SHUTDOWN'),
  e: () => async (client, show) => {
    const { bit } = checkResult('GET_TPMESTABLISHED', await client.call('GET_TPMESTABLISHED', {}))
    show(`tpmEstablished is ${bit}\n`, { tpmEstablished: bit !== 0 })
  },
  r: withLocality('RESET_TPMESTABLISHED'),
  v: plain('STORE_VOLATILE'),
  C: plain('CANCEL_TPM_CMD'),
  l: withLocality('SET_LOCALITY'),
  h:
    ({ value }) =>
    (client) =>
      hash(client, value),
  save: ({ value, operand }, streamChunk) => {
    const type = parseBlobType(value)
    return (client) => saveBlob(client, type, operand, streamChunk)
  },
  load: ({ value, operand }, streamChunk) => {
    const type = parseBlobType(value)
    return (client) => loadBlob(client, type, operand, streamChunk)
  },
  g: () => async (client, show) => {
    const { flags } = checkResult('GET_CONFIG', await client.call('GET_CONFIG', {}))
    show(`ptm configuration flags: 0x${flags.toString(16)}\n`, {
      flags,
      fileKey: (flags & PTM_CONFIG_FLAG_FILE_KEY) !== 0,
      migrationKey: (flags & PTM_CONFIG_FLAG_MIGRATION_KEY) !== 0,
    })
  },
  b: ({ value }) => {
    const bufferSize = parseUint32(value, `Could not get buffersize from ${value}.`)
    return async (client, show) => {
      const size = checkResult('SET_BUFFERSIZE', await client.call('SET_BUFFERSIZE', { bufferSize }))
      const { bufferSize: current, minSize, maxSize } = size
      show(`TPM buffersize: ${current}\nminimum size  : ${minSize}\nmaximum size  : ${maxSize}\n`, {
        bufferSize: current,
        minSize,
        maxSize,
      })
    }
  },
  info: ({ value }) => {
    const flags = parseInfoFlags(value)
    return async (client) => printOut(`${await info(client, flags)}\n`)
  },
  'lock-storage': ({ value }) => {
    const retries = parseUint32(value, `Could not parse lock retries from ${value}.`)
    return async (client) => {
      const extraTimeMs = Math.min(retries * LOCK_RETRY_MS, 0x3fff_ffff)
      checkResult('LOCK_STORAGE', await client.call('LOCK_STORAGE', { retries }, extraTimeMs))
    }
  },
}

/** The whole text, which may come in several pieces, without its NUL. */
async function info(client: PtmClient, flags: bigint): Promise<string> {
  const pieces: Buffer[] = []
  for (let offset = 0; ; ) {
    const outcome = await client.call('GET_INFO', { flags, offset, pad: 0 })
    const { buffer, totLength } = checkResult('GET_INFO', outcome)
    pieces.push(buffer)
    offset += buffer.length
    if (offset >= totLength) return Buffer.concat(pieces).toString().replace(/\0.*$/s, '')
    if (buffer.length === 0)
      throw new ToolFailure(`The TPM sent ${offset} of ${totLength} bytes of information`)
  }
}
