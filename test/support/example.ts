/** Runs a file of examples/ as its reader would. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { projectRoot } from './swtpm.ts'

/** @param file below examples/ */
export async function runExample(file: string): Promise<void> {
  // It is no part of the test that runs it.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, ['--test', join('examples', file)], {
    cwd: projectRoot,
    env,
  }).catch((error: { stdout?: string }) => assert.fail(error.stdout ?? String(error)))
  assert.match(stdout, /^# fail 0$/m)
  assert.match(stdout, /^# pass [1-9]/m)
}
