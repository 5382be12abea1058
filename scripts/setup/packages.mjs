// The Debian packages the project needs, and what for.

/**
 * @typedef {'vm' | 'test'} Need what not every command needs: the virtual machine; what only the tests use
 * @type {{ why: string, names: string[], only?: Need }[]}
 */
const PACKAGES = [
  { why: 'compile the native layer', names: ['g++', 'make', 'python3'] },
  { why: 'libraries of the native layer', names: ['libtpms-dev', 'libssl-dev', 'libseccomp-dev'] },
  { why: 'the virtual machine', names: ['qemu-system-x86', 'busybox-static', 'xz-utils'], only: 'vm' },
  { why: 'use a TPM', names: ['tpm2-tools', 'libtss2-tcti-device0', 'openssl'] },
  { why: 'download over TLS', names: ['ca-certificates'] },
  { why: 'check the format of the C++ sources', names: ['clang-format'], only: 'test' },
  { why: 'the reference, to exchange state with', names: ['swtpm', 'swtpm-tools'], only: 'test' },
  { why: 'use a TPM through a socket', names: ['libtss2-tcti-swtpm0'], only: 'test' },
  { why: 'certificates, made and read by others', names: ['gnutls-bin'], only: 'test' },
  { why: 'a TPM 1.2 for many', names: ['trousers', 'tpm-tools'], only: 'test' },
  {
    why: 'a TPM 2.0 for many',
    names: ['tpm2-abrmd', 'libtss2-tcti-tabrmd0', 'dbus'],
    only: 'test',
  },
  { why: 'containers', names: ['runc', 'podman'], only: 'test' },
  { why: 'keys in a TPM', names: ['tpm2-openssl'], only: 'test' },
  { why: 'look at processes and sockets', names: ['procps', 'iproute2', 'strace'], only: 'test' },
  { why: 'pairs of terminals and sockets', names: ['socat'], only: 'test' },
  {
    why: 'what reads manual pages and completions',
    names: ['man-db', 'mandoc', 'zsh', 'bash-completion'],
    only: 'test',
  },
  { why: 'what reads units and rules', names: ['systemd', 'udev'], only: 'test' },
]

/** @param {Need[]} needs @returns {string[]} */
export function packagesFor(needs) {
  return PACKAGES.filter(({ only }) => !only || needs.includes(only)).flatMap(({ names }) => names)
}
