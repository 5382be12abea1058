// Loaded before swtpm by start-up-steps.mjs: notes when it gets where, and writes that to the file that STARTUP_MARKS names.

const { writeFileSync } = require('node:fs')
const { endianness } = require('node:os')
const { performance } = require('node:perf_hooks')
const vm = require('node:vm')

const FRAME_REPLY = 2
/** Requests to the engine (contract/engine-channel.ts) that are part of a start. */
const ENGINE_REQUESTS = new Map([
  [0x02, 'TPM powered on'],
  [0x1003, 'TPM2_Startup done'],
  [0x1001, 'client handed over'],
])
/** Requests to the keeper (contract/keeper.ts): what has been done when they are made. */
const KEEPER_REQUESTS = new Map([
  [1, 'program loaded, command line read'],
  [3, 'log, state and sockets opened'],
  [5, 'engine asked for'],
  [9, 'Node confined'],
])

const marks = {}
/** The first time counts. */
const mark = (name, at = performance.timeOrigin + performance.now()) => {
  marks[name] ??= at
}
const { nodeTiming, timeOrigin } = performance
mark('Node executed', timeOrigin)
mark("Node's libraries set up", timeOrigin + nodeTiming.v8Start)
mark('V8 and its context there', timeOrigin + nodeTiming.environment)
mark('built-in modules there, first line of a program')

vm.Script = class extends vm.Script {
  constructor(...args) {
    mark('program and code cache read')
    super(...args)
    mark('code cache accepted')
  }
}

const u32 = (bytes, at) => (endianness() === 'LE' ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))
const keeperFd = Number.parseInt(process.env.SWTPM_KEEPER_FD ?? '', 10)
const { dlopen } = process
process.dlopen = (module, ...rest) => {
  mark('program run, to the addon')
  dlopen(module, ...rest)
  mark('addon loaded')
  const { sendMessage, receiveMessage } = module.exports
  if (sendMessage === undefined) return
  const asked = new Map()
  const replace = (name, value) => Object.defineProperty(module.exports, name, { value })
  replace('sendMessage', (fd, bytes, ...args) => {
    if (fd === keeperFd) {
      const step = KEEPER_REQUESTS.get(u32(bytes, 0))
      if (step !== undefined) mark(step)
    } else asked.set(bytes.readUInt32BE(8), ENGINE_REQUESTS.get(bytes.readUInt32BE(12)))
    return sendMessage(fd, bytes, ...args)
  })
  replace('receiveMessage', (fd, bytes, ...args) => {
    const length = receiveMessage(fd, bytes, ...args)
    if (fd === keeperFd) return length
    if (length > 0) mark('engine ready')
    for (let at = 0; at < length; at += 12 + bytes.readUInt32BE(at)) {
      const name = asked.get(bytes.readUInt32BE(at + 8))
      if (bytes.readUInt32BE(at + 4) === FRAME_REPLY && name !== undefined) mark(name)
    }
    return length
  })
}

process.once('exit', () => writeFileSync(String(process.env.STARTUP_MARKS), JSON.stringify(marks)))
