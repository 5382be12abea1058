/** `--behind` and what it may stand with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseBehind } from '../../../../src/command-line/parse/behind.ts'
import { parseSocket } from './command-line.ts'

const understood: [text: string, config: object][] = [
  ['device:/dev/tpm0', { kind: 'device', path: '/dev/tpm0' }],
  ['unix:/run/a,b', { kind: 'unix', path: '/run/a,b' }],
  ['tcp:localhost:2321', { kind: 'tcp', host: 'localhost', port: 2321 }],
  ['tcp:[::1]:2321', { kind: 'tcp', host: '::1', port: 2321 }],
  ['recording:b.tpmrec', { kind: 'recording', path: 'b.tpmrec', otherwise: 'FAILURE', fast: false }],
  ['recording:b,else=ours,fast', { kind: 'recording', path: 'b', otherwise: 'ours', fast: true }],
  ['recording:b,else=failure', { kind: 'recording', path: 'b', otherwise: 'FAILURE', fast: false }],
]
for (const [text, config] of understood) test(text, () => assert.deepEqual(parseBehind(text), config))

const refused: [text: string, reason: RegExp][] = [
  ['/dev/tpm0', /"\/dev\/tpm0" is unknown; known are device:, unix:, tcp:, recording:/],
  ['devise:/dev/tpm0', /did you mean "device:"\?/],
  ['device:', /the path is missing: write device:PATH/],
  ['tcp:2321', /"2321" is no HOST:PORT/],
  ['tcp:localhost:70000', /is no HOST:PORT/],
  ['recording:', /write recording:FILE/],
  ['recording:b,fsat', /"fsat" is unknown; did you mean "fast"\?/],
  ['recording:b,else=our', /"else=our" is unknown; did you mean "else=ours"\?/],
]
for (const [text, reason] of refused)
  test(`"${text}" is refused`, () => assert.throws(() => parseBehind(text), reason))

const BEHIND = '--tpm2 --ctrl type=tcp,port=1 --behind'

test('a TPM behind is on, needs no state of ours, and gets no Startup', () => {
  const { state, flags, script } = parseSocket(`${BEHIND} device:/dev/tpm0 --flags startup-clear`)
  assert.deepEqual([state.inMemory, flags], [true, { needInit: false, startup: 'none' }])
  assert.equal(script?.behind?.kind, 'device')
})

test('options about a state of ours are refused, but where ours answers too', () => {
  for (const option of [
    '--tpmstate dir=/d',
    '--seed-insecure 1',
    '--profile name=null',
    '--migration incoming',
  ])
    assert.throws(() => parseSocket(`${BEHIND} unix:/s ${option}`), /the TPM behind keeps its own state/)
  const { state, flags } = parseSocket(`${BEHIND} recording:r,else=ours --tpmstate dir=/d`)
  assert.deepEqual([state.path, flags.startup], ['/d', 'clear'])
})
