// What runs in the machine: a container for each service, started one after the other, as LinuxKit starts them.

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string[]} programs of this machine, taken along with the libraries they are linked with
 * @property {string[]} [libraries] that a program loads later
 * @property {boolean} [swtpm] takes this tree's swtpm along
 * @property {Record<string, string>} [files] contents by path
 * @property {string[]} [directories]
 * @property {string[]} command
 * @property {string[]} [env]
 * @property {string[]} capabilities
 * @property {boolean} devices /dev of the machine is also the container's
 * @property {string} ready a shell command of the machine that succeeds once the service serves
 */

const LIBRARIES = '/usr/lib/x86_64-linux-gnu'
const SLEEP = ['busybox', 'sleep', '2147483647']
const BUSYBOX = '/bin/busybox'
const USERS = {
  'etc/passwd': 'root:x:0:0::/:/bin/sh\ntss:x:102:109::/var/lib/tpm:/bin/false\n',
  'etc/group': 'root:x:0:\ntss:x:109:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/nsswitch.conf': 'hosts: files\n',
}

/** @param {'1.2' | '2.0'} version @returns {Service} */
const vtpm = (version) => ({
  name: 'swtpm',
  programs: [process.execPath],
  swtpm: true,
  files: USERS,
  directories: ['var/lib/swtpm', 'tmp'],
  command: [
    ...['/usr/bin/swtpm', 'chardev', '--vtpm-proxy', '--tpmstate', 'dir=/var/lib/swtpm'],
    ...(version === '2.0' ? ['--tpm2'] : []),
  ],
  capabilities: ['CAP_SYS_ADMIN'],
  devices: true,
  ready: "grep -q '^New TPM device' /run/log/swtpm",
})

/** Owns /dev/tpm0; everybody else comes to its port. @type {Service} */
const tss = {
  name: 'tss',
  programs: ['/usr/sbin/tcsd'],
  // pthread_exit(3) loads it.
  libraries: ['/lib/x86_64-linux-gnu/libgcc_s.so.1'],
  files: { ...USERS, 'etc/tcsd.conf': 'port = 30003\nsystem_ps_file = /var/lib/tpm/system.data\n' },
  directories: ['var/lib/tpm', 'tmp'],
  // The daemon insists on who may read its configuration.
  command: ['busybox', 'sh', '-c', 'chown 0:109 /etc/tcsd.conf && chmod 640 /etc/tcsd.conf && exec tcsd -f'],
  capabilities: ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_SETUID', 'CAP_SETGID'],
  devices: true,
  // Port 30003, listening.
  ready: "grep -Eq ':7533 [0-9:A-F]+ 0A ' /proc/net/tcp /proc/net/tcp6",
}

/** Carries its own tools, has no device. @type {Service} */
const tpm12Client = {
  name: 'client',
  programs: ['tpm_version', 'tpm_selftest', 'tpm_createek', 'tpm_getpubek'].map(
    (name) => `/usr/sbin/${name}`,
  ),
  files: USERS,
  directories: ['tmp'],
  command: SLEEP,
  capabilities: [],
  devices: false,
  ready: 'true',
}

/** @param {string} name @returns {Service} carries its own tools and talks to /dev/tpmrm0 */
const tpm2Client = (name) => ({
  name,
  programs: ['/usr/bin/tpm2'],
  libraries: [`${LIBRARIES}/libtss2-tcti-device.so.0`],
  files: USERS,
  directories: ['tmp'],
  command: SLEEP,
  env: ['TPM2TOOLS_TCTI=device:/dev/tpmrm0'],
  capabilities: [],
  devices: true,
  ready: 'true',
})

/** @param {'1.2' | '2.0'} version @returns {Service[]} in the order in which they start */
export function servicesFor(version) {
  const clients = version === '1.2' ? [tss, tpm12Client] : [tpm2Client('one'), tpm2Client('two')]
  const services = [vtpm(version), ...clients]
  return services.map((service) => ({ ...service, programs: [...service.programs, BUSYBOX] }))
}
