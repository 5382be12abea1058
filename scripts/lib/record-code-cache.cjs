// Loaded before a launcher (src/programs/common/launcher.ts): when the program ends, what V8 has compiled of it by then is written to the file
// that CODE_CACHE_TO names.

const { writeFileSync } = require('node:fs')
const vm = require('node:vm')

const target = process.env.CODE_CACHE_TO

/** @type {import('node:vm').Script | undefined} */
let program
vm.Script = class extends vm.Script {
  /** @param {ConstructorParameters<typeof import('node:vm').Script>} args */
  constructor(...args) {
    super(...args)
    program = this
  }
}

process.once('exit', () => {
  if (program !== undefined && target !== undefined) writeFileSync(target, program.createCachedData())
})
