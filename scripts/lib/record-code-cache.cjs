// Loaded before a launcher (src/programs/common/launcher.ts): when the program ends, what V8 has compiled by then of the file that
// CODE_CACHE_OF names is written to the file that CODE_CACHE_TO names.

const { writeFileSync } = require('node:fs')
const vm = require('node:vm')

const { CODE_CACHE_OF: source, CODE_CACHE_TO: target } = process.env

/** @type {import('node:vm').Script | undefined} */
let script
vm.Script = class extends vm.Script {
  /** @param {ConstructorParameters<typeof import('node:vm').Script>} args */
  constructor(...args) {
    super(...args)
    if (args[1] instanceof Object && args[1].filename === source) script = this
  }
}

process.once('exit', () => {
  if (script !== undefined && target !== undefined) writeFileSync(target, script.createCachedData())
})
