/** The command lines of the programs that run swtpm, word for word. */
import { test } from 'node:test'
import { assertHas, parseChardev, parseSocket } from './command-line.ts'

test('libvirt: a control socket, an encrypted state, locks for migration', () => {
  const config = parseSocket(
    '--ctrl type=unixio,path=/run/libvirt/qemu/swtpm/1-vm-swtpm.sock,mode=0600 ' +
      '--tpmstate dir=/var/lib/libvirt/swtpm/uuid/tpm2,mode=0600 --log file=/var/log/swtpm/libvirt/qemu/vm-swtpm.log ' +
      '--terminate --tpm2 --key pwdfd=25,mode=aes-256-cbc --migration-key pwdfd=26,mode=aes-256-cbc ' +
      '--migration release-lock-outgoing,incoming',
  )
  assertHas(config, {
    tpmVersion: '2',
    server: undefined,
    control: {
      kind: 'unix',
      path: '/run/libvirt/qemu/swtpm/1-vm-swtpm.sock',
      mode: 0o600,
      uid: undefined,
      gid: undefined,
      terminate: false,
    },
    state: {
      kind: 'dir',
      path: '/var/lib/libvirt/swtpm/uuid/tpm2',
      lock: true,
    },
    engine: { mode: 0o600, modeGiven: true, sync: true, backup: false },
    log: {
      destination: { kind: 'file', path: '/var/log/swtpm/libvirt/qemu/vm-swtpm.log', truncate: false },
      level: 1,
      prefix: '',
    },
    terminate: true,
    fileKey: {
      origin: { kind: 'fd', fd: 25 },
      material: { kind: 'passphrase', kdf: 'pbkdf2' },
      keyBits: 256,
      remove: false,
    },
    migrationKey: { origin: { kind: 'fd', fd: 26 } },
    migration: { incoming: true, releaseLockOutgoing: true },
    flags: { needInit: true, startup: 'none' },
    seccomp: 'kill',
    daemonize: false,
  })
})

test("QEMU's documentation: everything over one control socket", () => {
  const config = parseSocket(
    '--tpm2 --tpmstate dir=/tmp/mytpm1 --ctrl type=unixio,path=/tmp/mytpm1/swtpm-sock --log level=20',
  )
  assertHas(config, {
    server: undefined,
    control: { kind: 'unix', path: '/tmp/mytpm1/swtpm-sock', mode: 0o770 },
    log: { destination: { kind: 'stderr' }, level: 20, prefix: '' },
  })
})

test('Cloud Hypervisor', () => {
  const config = parseSocket(
    '--tpmstate dir=/var/run/swtpm --ctrl type=unixio,path=/var/run/swtpm/socket --flags startup-clear --tpm2',
  )
  assertHas(config, {
    flags: { needInit: false, startup: 'clear' },
    control: { path: '/var/run/swtpm/socket' },
  })
})

test('systemd-vmspawn and mkosi: a listening control socket handed in', () => {
  const config = parseSocket('--tpm2 --tpmstate dir=/run/state --ctrl type=unixio,fd=3')
  assertHas(config, { control: { kind: 'fd', fd: 3, role: 'listener' } })
})

test('systemd at boot: a vTPM proxy device with a key that is removed', () => {
  const config = parseChardev(
    '--vtpm-proxy --tpm2 --flags=startup-clear,disable-auto-shutdown ' +
      '--key=file=/run/keyfile,format=hex,mode=aes-cbc,remove=true --tpmstate=dir=/boot/state,mode=0600',
  )
  assertHas(config, {
    device: { kind: 'vtpm-proxy' },
    flags: { needInit: false, startup: 'clear' },
    allowSetLocality: true,
    fileKey: {
      origin: { kind: 'file', path: '/run/keyfile' },
      material: { kind: 'key', format: 'hex' },
      keyBits: 128,
      remove: true,
    },
    engine: { mode: 0o600, modeGiven: true, autoShutdown: false, rejectLocality4: false },
  })
})

test('LXD and Incus: a vTPM proxy device for a container', () => {
  const config = parseChardev('--tpm2 --tpmstate dir=/var/lib/incus/devices/c1/tpm.tpm0 --vtpm-proxy')
  assertHas(config, {
    device: { kind: 'vtpm-proxy' },
    control: undefined,
    flags: { needInit: false, startup: 'clear' },
    allowSetLocality: true,
  })
})

test('LXD and Incus: a socket for a virtual machine, relative to the working directory', () => {
  const config = parseSocket('--tpm2 --tpmstate dir=/var/lib/incus/d --ctrl type=unixio,path=swtpm-tpm0.sock')
  assertHas(config, { control: { kind: 'unix', path: 'swtpm-tpm0.sock' } })
})

test('a container runtime that opens /dev/vtpmx itself', () => {
  const config = parseChardev(
    '--fd 3 --tpm2 --tpmstate dir=/d --locality reject-locality-4,allow-set-locality --flags not-need-init',
  )
  assertHas(config, {
    device: { kind: 'fd', fd: 3 },
    allowSetLocality: true,
    engine: { rejectLocality4: true },
    flags: { needInit: false, startup: 'none' },
  })
})

test('swtpm_setup: both channels as connected sockets', () => {
  const config = parseSocket(
    '--flags not-need-init,startup-clear --tpmstate backend-uri=dir:///d --pid file=/d/.swtpm_setup.pidfile ' +
      '--tpm2 --server type=tcp,fd=5 --ctrl type=unixio,clientfd=7',
  )
  assertHas(config, {
    server: { kind: 'fd', fd: 5, role: 'connection', disconnect: false },
    control: { kind: 'fd', fd: 7, role: 'connection' },
    terminate: true,
    state: { kind: 'dir', path: '/d' },
    pid: { kind: 'file', path: '/d/.swtpm_setup.pidfile' },
  })
})
