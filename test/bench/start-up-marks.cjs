// Loaded before swtpm by start-up-steps.mjs: notes when it gets where, and writes that to the file that STARTUP_MARKS names.

const childProcess = require('node:child_process')
const { writeFileSync } = require('node:fs')
const { performance } = require('node:perf_hooks')
const vm = require('node:vm')

const FRAME_REPLY = 2
/** Requests to the engine (contract/engine-channel.ts) that are part of a start. */
const REQUESTS = new Map([
  [0x02, 'TPM powered on'],
  [0x1003, 'TPM2_Startup done'],
  [0x1001, 'client handed over'],
])

const marks = {}
/** The first time counts. */
const mark = (name) => {
  marks[name] ??= performance.timeOrigin + performance.now()
}
mark('Node is up')

vm.Script = class extends vm.Script {
  constructor(...args) {
    mark('program found')
    super(...args)
    mark('program there')
  }
}

const { spawn } = childProcess
childProcess.spawn = (...args) => {
  mark('program loaded, options read')
  const child = spawn(...args)
  mark('engine spawned')
  return child
}

const { dlopen } = process
process.dlopen = (module, ...rest) => {
  dlopen(module, ...rest)
  const { sendMessage, receiveMessage } = module.exports
  if (sendMessage === undefined) return
  const asked = new Map()
  const replace = (name, value) => Object.defineProperty(module.exports, name, { value })
  replace('sendMessage', (fd, bytes, ...args) => {
    asked.set(bytes.readUInt32BE(8), REQUESTS.get(bytes.readUInt32BE(12)))
    return sendMessage(fd, bytes, ...args)
  })
  replace('receiveMessage', (fd, bytes, ...args) => {
    const length = receiveMessage(fd, bytes, ...args)
    if (length > 0) mark('engine ready')
    for (let at = 0; at < length; at += 12 + bytes.readUInt32BE(at)) {
      const name = asked.get(bytes.readUInt32BE(at + 8))
      if (bytes.readUInt32BE(at + 4) === FRAME_REPLY && name !== undefined) mark(name)
    }
    return length
  })
}

process.once('exit', () => writeFileSync(String(process.env.STARTUP_MARKS), JSON.stringify(marks)))
