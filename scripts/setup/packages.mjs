// The Debian packages the project needs, and what for.

import { debianSuite } from '../lib/debian-suite.mjs'

/**
 * What a command is about to do, beyond building and installing: show the TPMs at work, boot the virtual machine, run the
 * tests that need no other programs (quick) or all of them, measure. Or only to run what has been built elsewhere.
 *
 * @typedef {'run' | 'demo' | 'vm' | 'quick' | 'test' | 'bench'} Need
 */

/**
 * @typedef {object} PackageGroup
 * @property {string} why
 * @property {string[]} names
 * @property {Need[]} [only] without: they are needed to build
 * @property {(suite: string) => boolean} [where] Debian's suites that have them; without: all
 */

/** @type {PackageGroup[]} */
export const PACKAGES = [
  { why: 'compile the native layer', names: ['g++', 'make', 'python3'] },
  { why: 'libraries of the native layer', names: ['libtpms-dev', 'libssl-dev', 'libseccomp-dev'] },
  { why: 'libraries of what has been built', names: ['libtpms0', 'libssl3', 'libseccomp2'], only: ['run'] },
  { why: 'download over TLS', names: ['ca-certificates'] },
  { why: 'the virtual machine', names: ['qemu-system-x86', 'busybox-static', 'xz-utils'], only: ['vm'] },
  {
    why: 'use a TPM',
    names: ['tpm2-tools', 'libtss2-tcti-device0', 'openssl'],
    only: ['demo', 'test', 'bench'],
  },
  { why: 'the reference, to exchange state with', names: ['swtpm', 'swtpm-tools'], only: ['test', 'bench'] },
  { why: "Wireshark's view of a trace", names: ['tshark'], only: ['test'] },
  { why: 'count system calls', names: ['strace'], only: ['test', 'bench'] },
  { why: 'check the format of the C++ sources', names: ['clang-format'], only: ['test'] },
  { why: 'use a TPM through a socket', names: ['libtss2-tcti-swtpm0'], only: ['test'] },
  { why: 'certificates, made and read by others', names: ['gnutls-bin'], only: ['test'] },
  { why: 'a TPM 1.2 for many', names: ['trousers', 'tpm-tools'], only: ['test'] },
  {
    why: 'a TPM 2.0 for many',
    names: ['tpm2-abrmd', 'libtss2-tcti-tabrmd0', 'dbus'],
    only: ['test'],
  },
  { why: 'containers', names: ['runc', 'podman'], only: ['test'] },
  { why: 'roots of other distributions', names: ['mmdebstrap', 'git'], only: ['test'] },
  {
    why: 'the view like sysfs: its library, and a program that reads it',
    names: ['libfuse2', 'ima-evm-utils'],
    only: ['test'],
  },
  { why: 'keys in a TPM', names: ['tpm2-openssl', 'clevis-tpm2', 'cryptsetup-bin'], only: ['test'] },
  { why: 'a client of the script socket in Go', names: ['golang-go'], only: ['test'] },
  { why: 'look at processes and sockets', names: ['procps', 'iproute2'], only: ['quick', 'test'] },
  { why: 'pairs of terminals and sockets', names: ['socat'], only: ['quick', 'test'] },
  { why: 'a terminal for shells', names: ['bsdutils'], only: ['quick', 'test'] },
  {
    why: 'what reads manual pages and completions',
    names: ['man-db', 'mandoc', 'zsh', 'bash-completion'],
    only: ['quick', 'test'],
  },
  {
    why: 'the reference, with profiles',
    names: ['swtpm', 'swtpm-tools'],
    only: ['quick'],
    where: (suite) => suite === 'sid',
  },
  { why: 'keys in a token', names: ['softhsm2'], only: ['quick', 'test'] },
  {
    why: 'OpenSSL with keys in a token',
    names: ['libengine-pkcs11-openssl'],
    only: ['quick', 'test'],
    where: (suite) => suite === 'bookworm',
  },
  {
    why: 'OpenSSL with keys in a token',
    names: ['pkcs11-provider', 'p11-kit'],
    only: ['quick', 'test'],
    where: (suite) => suite !== 'bookworm',
  },
  { why: 'what reads units and rules', names: ['systemd', 'udev'], only: ['quick', 'test'] },
]

/** @param {Need[]} needs @param {string} [suite] that of this machine unless another is given @returns {string[]} */
export function packagesFor(needs, suite) {
  return groupsFor(needs, suite).flatMap(({ names }) => names)
}

/** @param {Need[]} needs @param {string} [suite] @returns {PackageGroup[]} */
export function groupsFor(needs, suite = debianSuite() ?? '') {
  const wanted = (/** @type {Need[] | undefined} */ only) => only?.some((need) => needs.includes(need))
  const builds = !needs.includes('run')
  return PACKAGES.filter(({ only, where }) => (wanted(only) || (!only && builds)) && (!where || where(suite)))
}
