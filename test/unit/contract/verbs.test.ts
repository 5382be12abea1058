import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  capabilities,
  controlCode,
  ioctlNumber,
  ioctlSize,
  verbByIoctl,
  verbNames,
} from '../../../contract/verbs.ts'

/** Computed by a C compiler from the public header, x86-64. */
const IOCTLS = {
  GET_CAPABILITY: 0x80085000,
  INIT: 0xc0045001,
  SHUTDOWN: 0x80045002,
  GET_TPMESTABLISHED: 0x80085003,
  SET_LOCALITY: 0xc0045004,
  HASH_START: 0x80045005,
  HASH_DATA: 0xd0045006,
  HASH_END: 0x80045007,
  CANCEL_TPM_CMD: 0x80045008,
  STORE_VOLATILE: 0x80045009,
  RESET_TPMESTABLISHED: 0xc004500a,
  GET_STATEBLOB: 0xcc10500b,
  SET_STATEBLOB: 0xcc0c500c,
  STOP: 0x8004500d,
  GET_CONFIG: 0x8008500e,
  SET_DATAFD: 0x8004500f,
  SET_BUFFERSIZE: 0xc0105010,
  GET_INFO: 0xcc105011,
  LOCK_STORAGE: 0xc0045012,
} as const

describe('the verb table', () => {
  it('gives the ioctl numbers of the C header', () => {
    assert.deepEqual(Object.fromEntries(verbNames.map((name) => [name, ioctlNumber(name)])), IOCTLS)
  })

  it('gives control codes one above the ioctl numbers', () => {
    for (const name of verbNames) assert.equal(controlCode(name), (IOCTLS[name] & 0xff) + 1)
  })

  it('gives sizes that the ioctl numbers carry', () => {
    for (const name of verbNames) assert.equal(ioctlSize(name), (IOCTLS[name] >>> 16) & 0x3fff)
  })

  it('announces what each wire has', () => {
    assert.equal(capabilities('ioctl', true), 0x16fff)
    assert.equal(capabilities('control', true), 0x1ffff)
    assert.equal(capabilities('control', false), 0x17fff)
  })

  it('has no ioctl for SET_DATAFD', () => {
    assert.equal(verbByIoctl(IOCTLS.SET_DATAFD), undefined)
  })
})
