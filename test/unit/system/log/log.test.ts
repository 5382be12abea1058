import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os, { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type LogConfig, log } from '../../../../src/system/log.ts'

const folder = mkdtempSync(join(tmpdir(), 'log-'))
after(() => rmSync(folder, { recursive: true }))

let files = 0
/** Logs to a new file and gives its content. */
function written(config: Partial<LogConfig>, use: () => void, content = ''): string {
  const path = join(folder, `log-${files++}`)
  if (content !== '') writeFileSync(path, content)
  configure({ destination: { kind: 'file', path, truncate: false }, ...config }, path)
  use()
  return readFileSync(path, 'utf8')
}

function configure(config: Partial<LogConfig>, path: string): void {
  const defaults: LogConfig = {
    destination: { kind: 'file', path, truncate: false },
    level: 1,
    prefix: '',
    format: 'text',
  }
  log.configure({ ...defaults, ...config })
}

// The first test, because a module that has been loaded stays loaded. Bundled or not, pino asks for the host's name then.
test('pino is loaded for JSON alone, and then before the first line', (t) => {
  const hostname = t.mock.method(os, 'hostname')
  configure({}, join(folder, 'text'))
  log.info('a line')
  assert.equal(hostname.mock.callCount(), 0)
  configure({ format: 'json' }, join(folder, 'json'))
  assert.equal(hostname.mock.callCount(), 1)
})

test('a line is the prefix and the message', () => {
  const text = written({ prefix: 'tpm0: ' }, () => {
    log.error('Error: one')
    log.info('two\n')
    log.warn('three')
  })
  assert.equal(text, 'tpm0: Error: one\ntpm0: two\ntpm0: three\n')
})

test('a message is written when the level is high enough, and indented by its level', () => {
  const use = () => {
    log.info('one')
    log.debug(2, 'two')
    log.debug(3, 'three')
  }
  assert.equal(written({ level: 1 }, use), 'one\n')
  assert.equal(written({ level: 2 }, use), 'one\n two\n')
  assert.equal(written({ level: 20 }, use), 'one\n two\n  three\n')
})

test('bytes are dumped as the reference does, and only when asked for', () => {
  const use = () =>
    log.dump(
      2,
      'Ctrl Cmd:',
      Uint8Array.from({ length: 18 }, (_, index) => index * 15),
    )
  assert.equal(written({ level: 1 }, use), '')
  assert.equal(
    written({ level: 2 }, use),
    ' Ctrl Cmd: length 18\n 00 0F 1E 2D 3C 4B 5A 69 78 87 96 A5 B4 C3 D2 E1 \n F0 FF \n',
  )
})

test('text that looks like JSON or a format comes out as it is', () => {
  assert.equal(
    written({}, () => log.error('100% of {"a":1} at %s %d "x"')),
    '100% of {"a":1} at %s %d "x"\n',
  )
})

test('JSON on request: one object a line', () => {
  const text = written({ format: 'json', prefix: 'tpm0: ', level: 2 }, () => {
    log.error('Error: one')
    log.debug(2, 'two')
  })
  const [first, second] = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(first.msg, 'Error: one')
  assert.equal(first.level, 50)
  assert.equal(first.pid, process.pid)
  assert.equal(first.prefix, 'tpm0: ')
  assert.ok(!Number.isNaN(Date.parse(first.time)))
  assert.deepEqual([second.msg, second.verbosity, second.level], ['two', 2, 20])
})

test('a file is appended to, or emptied with truncate', () => {
  assert.equal(
    written({}, () => log.info('new'), 'old\n'),
    'old\nnew\n',
  )
  const path = join(folder, 'truncated')
  writeFileSync(path, 'old\n')
  configure({ destination: { kind: 'file', path, truncate: true } }, path)
  log.info('new')
  assert.equal(readFileSync(path, 'utf8'), 'new\n')
})

test('a new file is for its owner only', () => {
  const path = join(folder, 'mode')
  configure({}, path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('a symbolic link is refused, and the log stays where it was', () => {
  const target = join(folder, 'target')
  const link = join(folder, 'link')
  symlinkSync(target, link)
  const text = written({}, () => {
    assert.throws(() => configure({}, link), {
      code: 'SWTPM_ERR_LOG',
      message: `Cannot open log file "${link}": it must not be a symbolic link`,
    })
    log.info('still here')
  })
  assert.equal(text, 'still here\n')
})

test('a directory that is missing is named', () => {
  const path = join(folder, 'no', 'log')
  assert.throws(() => configure({}, path), {
    message: `Cannot open log file "${path}": no such file or directory`,
  })
})

test('a descriptor must be open for writing', () => {
  const path = join(folder, 'descriptor')
  writeFileSync(path, '')
  const readOnly = openSync(path, 'r')
  const message = `Cannot use descriptor ${readOnly} for the log: it is open for reading only`
  assert.throws(
    () => log.configure({ destination: { kind: 'fd', fd: readOnly }, level: 1, prefix: '', format: 'text' }),
    {
      message,
    },
  )
  closeSync(readOnly)
  assert.throws(
    () => log.configure({ destination: { kind: 'fd', fd: 4321 }, level: 1, prefix: '', format: 'text' }),
    {
      code: 'SWTPM_ERR_LOG',
      message:
        'Cannot use descriptor 4321 for the log: it is not open; the program that starts this one has to hand it in',
    },
  )
})

test('fd is what a child may have as its standard error', () => {
  const text = written({}, () => {
    spawnSync('sh', ['-c', 'echo from a child >&2'], { stdio: ['ignore', 'ignore', log.fd] })
    log.info('from this process')
  })
  assert.equal(text, 'from a child\nfrom this process\n')
  log.configure({ destination: { kind: 'none' }, level: 1, prefix: '', format: 'text' })
  spawnSync('sh', ['-c', 'echo lost >&2'], { stdio: ['ignore', 'ignore', log.fd] })
})

test('without a log nothing is written, and nothing is enabled', () => {
  log.configure({ destination: { kind: 'none' }, level: 5, prefix: '', format: 'text' })
  assert.equal(log.isEnabled(1), false)
  log.error('lost')
})

test('a log that cannot be written does not stop the TPM', () => {
  const full = openSync('/dev/full', 'w')
  log.configure({ destination: { kind: 'fd', fd: full }, level: 1, prefix: '', format: 'text' })
  log.error('no room for this')
  closeSync(full)
  log.error('nor for this')
})
