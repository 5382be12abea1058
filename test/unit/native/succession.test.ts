/** The engine's side of the succession: which steps it takes in which stage. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { noCxxCompiler } from '../../support/compilers.ts'
import { compileNative } from './support/compile-native.ts'

describe('the stages of an engine', { skip: noCxxCompiler() }, () => {
  it('leave the TPM to another engine, and take it back only by RESUME', (t) => {
    const program = compileNative(t, 'test/unit/native/succession.cc')
    const steps = (letters: string): string[] =>
      execFileSync(program, { input: letters, encoding: 'utf8' }).trimEnd().split('\n')
    // Started, replaced; told to power on or to hand over again; taken back.
    assert.deepEqual(steps('pphphr'), [
      'p allowed owns',
      'p allowed owns',
      'h allowed left',
      'p refused left',
      'h refused left',
      'r allowed owns',
    ])
    // A successor resumes, and hands over in its turn.
    assert.deepEqual(steps('rph'), ['r allowed owns', 'p allowed owns', 'h allowed left'])
    // A TPM that has never been on can be handed over, too.
    assert.deepEqual(steps('hr'), ['h allowed left', 'r allowed owns'])
  })
})
