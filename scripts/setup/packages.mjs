// The Debian packages the project needs, for what, and in which of its two commands.

/**
 * @typedef {'start' | 'test'} Purpose `npm start` does without what only the tests need
 * @type {{ why: string, names: string[], only?: Purpose }[]}
 */
const PACKAGES = [
  { why: 'compile the native layer', names: ['g++', 'make', 'python3'] },
  { why: 'libraries of the native layer', names: ['libtpms-dev', 'libssl-dev', 'libseccomp-dev'] },
  { why: 'the virtual machine', names: ['qemu-system-x86', 'busybox-static', 'xz-utils'] },
  { why: 'use a TPM', names: ['tpm2-tools', 'libtss2-tcti-device0'] },
  { why: 'download over TLS', names: ['ca-certificates'] },
  { why: 'check the format of the C++ sources', names: ['clang-format'], only: 'test' },
  { why: 'the reference, to exchange state with', names: ['swtpm', 'swtpm-tools'], only: 'test' },
  { why: 'use a TPM through a socket', names: ['libtss2-tcti-swtpm0'], only: 'test' },
  { why: 'certificates, made and read by others', names: ['openssl', 'gnutls-bin'], only: 'test' },
  { why: 'look at processes and sockets', names: ['procps', 'iproute2'], only: 'test' },
]

/** @param {Purpose} purpose @returns {string[]} */
export function packagesFor(purpose) {
  return PACKAGES.filter(({ only }) => !only || only === purpose).flatMap(({ names }) => names)
}
