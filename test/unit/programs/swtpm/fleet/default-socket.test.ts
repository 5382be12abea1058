import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSocketPath } from '../../../../../src/programs/swtpm/fleet/fleet-options.ts'

test('root has the fleet’s socket in /run', () => {
  assert.equal(defaultSocketPath({ XDG_RUNTIME_DIR: '/run/user/0' }, true), '/run/swtpm-fleet.sock')
})

test('a user has it in the directory that is theirs alone', () => {
  const environment = { XDG_RUNTIME_DIR: '/run/user/1000' }
  assert.equal(defaultSocketPath(environment, false), '/run/user/1000/swtpm-fleet.sock')
})

test('without such a directory there is no default: another user could take a name in /tmp', () => {
  for (const environment of [{}, { XDG_RUNTIME_DIR: '' }])
    assert.throws(() => defaultSocketPath(environment, false), /Missing --ctrl type=unixio,path=PATH/)
})

test('SWTPM_FLEET_SOCKET names it for everybody', () => {
  const environment = { XDG_RUNTIME_DIR: '/run/user/1000', SWTPM_FLEET_SOCKET: '/srv/fleet.sock' }
  for (const isRoot of [true, false]) assert.equal(defaultSocketPath(environment, isRoot), '/srv/fleet.sock')
})
