/** `npm run bench`, once everything is built: measures, prints, and writes docs/benchmarks. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot } from '../support/swtpm.ts'
import { contestants } from './contestants.ts'
import { environment } from './environment.ts'
import { IN_GUEST, runJob } from './guest.ts'
import { carryOut, PARTS, type Part } from './plan.ts'
import { measureRecorded, saveRecorded } from './recorded.ts'
import { report } from './report.ts'
import type { Results } from './results.ts'

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === IN_GUEST) return runJob(JSON.parse(args[1] as string))

  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      reference: { type: 'string' },
      only: { type: 'string' },
      record: { type: 'boolean', default: false },
      output: { type: 'string', default: join(projectRoot, 'docs/benchmarks') },
    },
  })
  const { quick, reference, only, record, output } = values
  if (record) return saveRecorded(await measureRecorded())
  const parts = only === undefined ? PARTS : only.split(',').map(partNamed)
  const takePart = contestants({ reference, stores: false })
  const found: Results = {
    // A path says nothing to others.
    commandLine: ['npm run bench --', ...args.map((arg) => (arg === reference ? 'PATH' : arg))].join(' '),
    environment: environment(takePart),
    baseline: reference === undefined ? 'Debian' : 'reference',
    ...(await carryOut({ parts, quick, reference, progress: (what) => console.error(`  · ${what}`) })),
  }
  mkdirSync(output, { recursive: true })
  const files = report(found)
  for (const [name, contents] of files) writeFileSync(join(output, name), contents)
  console.log(files.get('results.md'))
}

function partNamed(name: string): Part {
  const part = PARTS.find((candidate) => candidate === name)
  if (part === undefined) throw new Error(`no part "${name}": choose from ${PARTS.join(', ')}`)
  return part
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error)
  process.exit(1)
})
