/** `--chroot`: a root directory that holds device nodes and nothing else. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { it } from 'node:test'
import { DeviceHandle, deviceName } from '../support/cuse-tpm.ts'
import { descendants, nameOf } from '../support/processes.ts'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

it('serves a CUSE TPM from a root directory with no files, in the background', async (t) => {
  const root = temporaryDirectory(t)
  mkdirSync(`${root}/dev`)
  execFileSync('mknod', ['-m', '666', `${root}/dev/urandom`, 'c', '1', '9'])
  execFileSync('mknod', ['-m', '666', `${root}/dev/cuse`, 'c', '10', '203'])
  const path = `/dev/${deviceName()}`
  const parent = new Swtpm([
    ...['cuse', '--name', path, '--tpm2', '--chroot', root, '--tpmstate', 'dir=/', '--pid', 'file=/pid'],
    ...['--flags', 'not-need-init,startup-clear'],
  ])
  assert.equal(await parent.exited, 0, parent.stderr)
  const pid = Number(readFileSync(`${root}/pid`, 'utf8'))
  t.after(() => existsSync(path) && process.kill(pid, 'SIGKILL'))
  // The keeper has to start engines, whose program is outside.
  const [supervisor] = descendants(pid).filter((child) => nameOf(child) !== 'tpm-engine')
  assert.equal(readlinkSync(`/proc/${supervisor}/root`), root)
  assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^Seccomp:\s*2$/m)
  const device = new DeviceHandle(path)
  assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  assert.equal(device.verb('STOP').tpmResult, 0)
  assert.equal(device.verb('INIT', { initFlags: 0 }).tpmResult, 0)
  device.close()
  for (const file of ['.lock', 'tpm2-00.permall']) assert.ok(existsSync(`${root}/${file}`), file)
  process.kill(pid, 'SIGTERM')
  await waitFor(() => !existsSync(path) && !existsSync(`${root}/pid`), { what: 'the end' })
})

it('serves a vTPM proxy device from such a root directory', async (t) => {
  const root = temporaryDirectory(t)
  mkdirSync(`${root}/dev`)
  const { rdev } = statSync('/dev/vtpmx')
  const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00)
  execFileSync('mknod', ['-m', '600', `${root}/dev/vtpmx`, 'c', String((rdev >> 8) & 0xfff), String(minor)])
  const swtpm = new Swtpm([
    ...['chardev', '--vtpm-proxy', '--tpm2', '--chroot', root, '--tpmstate', 'dir=/', '--pid', 'file=/pid'],
  ])
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => existsSync(`${root}/pid`) && swtpm.stdout.includes('\n'), 'its pid file')
  const path = /\/dev\/tpm\d+/.exec(swtpm.stdout)?.[0] as string
  assert.ok(existsSync(`${root}/tpm2-00.permall`))
  await waitFor(() => existsSync(path), { what: path })
  const device = new DeviceHandle(path)
  assert.equal(responseCode(device.command(TPM2.getRandom())), 0)
  device.close()
  assert.equal(await swtpm.stop(), 0)
})
