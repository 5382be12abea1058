import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertHas, parseSocket, refusal } from './command-line.ts'

const STATE = '--tpmstate dir=/d'

const accepted: [line: string, env: Record<string, string>, meaning: object][] = [
  [
    '-p 2321',
    {},
    { server: { kind: 'tcp', port: 2321, bindAddress: '127.0.0.1', disconnect: true }, terminate: false },
  ],
  ['-p 0x911', {}, { server: { port: 0x911 } }],
  ['-p 2321 -t', {}, { terminate: true }],
  ['', { TPM_PORT: '2321' }, { server: { kind: 'tcp', port: 2321, disconnect: true } }],
  ['-p 1', { TPM_PORT: '2321' }, { server: { port: 1 } }],
  ['--ctrl type=unixio,path=c', { TPM_PORT: '2321' }, { server: undefined }],
  ['--server port=5', {}, { server: { kind: 'tcp', port: 5, interfaceName: undefined, disconnect: false } }],
  ['--server type=tcp', { TPM_PORT: '7' }, { server: { kind: 'tcp', port: 7, disconnect: false } }],
  ['--server type=tcp -p 8', { TPM_PORT: '7' }, { server: { port: 8, disconnect: false } }],
  ['-p 8 --server type=tcp,port=9', {}, { server: { port: 9, disconnect: false } }],
  ['--server port=9 -f 5', {}, { server: { kind: 'tcp', port: 9 }, terminate: false }],
  ['--server type=tcp,port=5,disconnect', {}, { server: { disconnect: true } }],
  ['--server port=5,bindaddr=0.0.0.0', {}, { server: { bindAddress: '0.0.0.0' } }],
  ['--server port=5,bindaddr=::1', {}, { server: { bindAddress: '::1' } }],
  [
    '--server port=5,bindaddr=::1,ifname=eth0',
    {},
    { server: { bindAddress: '::1', interfaceName: undefined } },
  ],
  [
    '--server port=5,bindaddr=fe80::1,ifname=eth0',
    {},
    { server: { bindAddress: 'fe80::1', interfaceName: 'eth0' } },
  ],
  [
    '--server type=unixio,path=/s,mode=0660,uid=0,gid=tss',
    {},
    {
      server: {
        kind: 'unix',
        path: '/s',
        mode: 0o660,
        uid: { id: 0 },
        gid: { name: 'tss' },
        disconnect: false,
      },
    },
  ],
  ['--server type=unixio,fd=4', {}, { server: { kind: 'fd', fd: 4, role: 'listener' }, terminate: false }],
  ['--server fd=4', {}, { server: { kind: 'fd', fd: 4, role: 'connection' }, terminate: true }],
  ['--fd 9', {}, { server: { kind: 'fd', fd: 9, role: 'connection' }, terminate: true }],
  ['-f9 -d', {}, { terminate: true, daemonize: true }],
  [
    '--ctrl type=tcp,port=0',
    {},
    { control: { kind: 'tcp', port: 0, bindAddress: '127.0.0.1', terminate: false } },
  ],
  [
    '--ctrl type=tcp,fd=3,terminate',
    {},
    { control: { kind: 'fd', fd: 3, role: 'listener', terminate: true } },
  ],
  [
    '--ctrl type=unixio,path=c,terminate=true',
    {},
    { control: { kind: 'unix', mode: 0o770, terminate: true } },
  ],
]
for (const [line, env, meaning] of accepted) {
  test(`swtpm socket ${line} ${JSON.stringify(env)}`, () =>
    assertHas(parseSocket(`${STATE} ${line}`, env), meaning))
}

const refused: [line: string, message: string][] = [
  ['', 'Nothing to serve: give --server, --port or --fd for TPM commands, or --ctrl for a control channel'],
  ['-p 65536', '--port: "65536" is not a number from 0 to 65535'],
  ['-p=1', '--port: "=1" is not a number from 0 to 65535'],
  ['-p 12x', '--port: "12x" is not a number from 0 to 65535'],
  ['--port=', '--port: "" is not a number from 0 to 65535'],
  ['-f 2', '--fd: 2 is standard input, output or error; it must be 3 or higher'],
  ['-f x', '--fd: "x" is not a file descriptor number'],
  ['-f -1', '--fd: "-1" is not a file descriptor number'],
  ['--server type=udp', '--server: type "udp" is none of tcp, unixio'],
  ['--server type=tcp', '--server: type=tcp needs port=PORT or fd=FD, and TPM_PORT is not set'],
  ['--server type=unixio', '--server: type=unixio needs path=PATH or fd=FD'],
  ['--server port=65536', '--server: port "65536" is not a decimal number from 0 to 65535'],
  ['--server port=1,bindaddr=localhost', '--server: bindaddr "localhost" is not an IPv4 or IPv6 address'],
  [
    '--server port=1,bindaddr=fe80::1',
    '--server: bindaddr "fe80::1" is link-local and needs the interface\'s name: ifname=NAME',
  ],
  [
    '--server clientfd=3',
    '--server: "clientfd" is unknown; known are type, port, bindaddr, ifname, path, mode, uid, gid, fd, disconnect',
  ],
  ['--ctrl path=/x', '--ctrl: type=unixio or type=tcp is required'],
  ['--ctrl type=unixio', '--ctrl: type=unixio needs path=PATH, fd=FD or clientfd=FD'],
  ['--ctrl type=tcp', '--ctrl: type=tcp needs port=PORT or fd=FD'],
  ['--ctrl type=tcp,clientfd=3', '--ctrl: clientfd is for type=unixio only'],
  ['--ctrl type=unixio,fd=4,clientfd=3', '--ctrl: give either fd or clientfd, not both'],
  ['--ctrl type=unixio,path=c,mode=9', '--ctrl: mode "9" is not an octal number up to 0777'],
]
for (const [line, message] of refused) {
  test(`swtpm socket refuses ${line}`, () => {
    assert.deepEqual(refusal(`swtpm socket ${STATE} ${line}`), { message, exitCode: 1 })
  })
}

test('a Unix socket path must fit into a socket address', () => {
  const path = `/${'x'.repeat(106)}`
  assertHas(parseSocket(`${STATE} --ctrl type=unixio,path=${path}`), { control: { path } })
  assert.match(
    refusal(`swtpm socket ${STATE} --ctrl type=unixio,path=${path}x`).message,
    /^--ctrl: path ".*" is longer than the 107 bytes of a Unix socket's path$/,
  )
})

test('a bad TPM_PORT is named', () => {
  assert.deepEqual(refusal(`swtpm socket ${STATE}`, { TPM_PORT: 'ssh' }), {
    message: 'TPM_PORT "ssh" is not a port number from 0 to 65535',
    exitCode: 1,
  })
})

test('there must be a place for the state', () => {
  const message = 'No TPM state directory is defined: give --tpmstate dir=DIR, or set TPM_PATH'
  assert.deepEqual(refusal('swtpm socket -p 1'), { message, exitCode: 1 })
})
