/** The script socket: takes requests about the TPM's faults and commands. Clients do not wait for each other. */
import { LineServer } from '../../../system/io/line-server.ts'
import type { Scripting } from '../scripting.ts'
import { ScriptClient } from './script-client.ts'
import { MAX_LINE_BYTES } from './script-messages.ts'

const MAX_CLIENTS = 64

/** Takes over `listenFd`. */
export const serveScriptClients = (listenFd: number, scripting: Scripting): LineServer =>
  new LineServer(listenFd, {
    maxLineBytes: MAX_LINE_BYTES,
    serve: (client) => new ScriptClient(client, scripting),
    limit: {
      clients: MAX_CLIENTS,
      refusal: JSON.stringify({ error: `the script socket has ${MAX_CLIENTS} clients already` }),
    },
  })
