/** What `swtpm ktest` says when it cannot do as it is told. No machine is booted but one. */
import assert from 'node:assert/strict'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runKtest } from '../support/ktest.ts'
import { withoutQemu } from '../support/qemu-image.ts'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'

/** Command line → what standard error has. */
const REFUSED: readonly (readonly [words: string, fault: RegExp])[] = [
  ['--tpm vtpm', /Missing the command that the guest is to run, behind "--"/],
  ['ls /dev', /Unexpected argument "ls"; the command follows "--": swtpm ktest -- ls/],
  ['--tpm spi -- true', /--tpm: "spi" is none of vtpm, cuse, tis, crb\nUsage: --tpm /],
  ['--tpm tis --tpm crb -- true', /QEMU gives a machine one TPM as hardware, and these are 2: tis, crb/],
  ['--tpm crb,1.2 -- true', /crb is an interface of TPM 2\.0 alone/],
  ['--tpm vtpm,fast -- true', /"fast" is none of 1\.2, 2\.0, fault=RULE, mode=NAME, seed=N/],
  ['--tpm a=vtpm --tpm a=cuse -- true', /two TPMs are called "a"/],
  ['--tpm vtpm,fault=GetRandum:rc=RETRY -- true', /did you mean GetRandom\?/],
  ['--tpm tis,mode=lockuot -- true', /--tpm: Cannot use --mode lockuot: /],
  ['--fail-on oops -- true', /"oops" is none of warning, bug, kasan/],
  ['--suite drivers', /--suite: "drivers" is none of driver, selftests, and no FILE\.mjs/],
  ['--suite selftests', /the tests are in the tree of a kernel: --kernel DIR, where Linux was built/],
  ['--kernel 6.12 --suite selftests', /--kernel DIR, where Linux was built; "6\.12" is none/],
  [
    '--kernel /etc --suite selftests',
    /Cannot read the tests in "\/etc\/tools\/testing\/selftests\/tpm2": no such/,
  ],
  ['--suite /nowhere.mjs', /Cannot use the suite "\/nowhere\.mjs": /],
  ['--tpm vtpm,seed=x -- true', /--tpm: seed: "x" is no number from 0 on/],
  ['--timeout soon -- true', /--timeout: "soon" is no number/],
  ['--env X -- true', /--env: "X" is not NAME=VALUE/],
  ['--with /bin/ls -- true', /--with is for --root memory/],
  ['--share /tmp --root memory -- true', /--share needs --root host/],
  ['--kernel 5.4 -- true', /Unknown kernel "5\.4": Debian's are 6\.1 and 6\.12 here\nWhat to do: /],
  ['--kernel 6.1 --modules /lib -- true', /--modules is for a kernel by path/],
  ['--kernel /nowhere -- true', /There is no kernel "\/nowhere"/],
  ['--kernel /etc -- true', /"\/etc" is a directory without arch\/x86\/boot\/bzImage\nWhat to do: /],
  ['--kernel /etc/passwd -- true', /"\/etc\/passwd" is no bzImage/],
]

describe('swtpm ktest', () => {
  for (const [words, fault] of REFUSED) {
    it(`refuses ${words}`, async () => {
      const { code, stderr } = await runKtest(words.split(' '))
      assert.match(stderr, fault)
      assert.equal(code, 125)
    })
  }

  it('says that QEMU is missing, and what to do', async (t) => {
    const directory = temporaryDirectory(t)
    symlinkSync(process.execPath, join(directory, 'node'))
    const run = new Swtpm(['ktest', '--', 'true'], { env: { PATH: directory } })
    assert.equal(await run.exited, 125)
    assert.match(run.stderr, /missing|no apt/)
    assert.match(run.stderr, /\nWhat to do: /)
  })

  it('names the rules of the TPMs of a machine that does not come back', { skip: withoutQemu }, async () => {
    const { code, stderr } = await runKtest([
      ...['--root', 'memory', '--timeout', '10', '--tpm', 'tis,fault=Shutdown: drop'],
      ...['--tpm', 'other=vtpm,fault=Clear: mute', '--', 'sh', '-c', 'ktest-suspend 1'],
    ])
    assert.match(
      stderr,
      /longer than 10 s; TPM 0 has "Shutdown: drop", which has struck 1 command; TPM other has "Clear: mute"\n/,
    )
    assert.equal(code, 124)
  })

  it('ends what takes too long, and refuses a module that the kernel refuses', {
    skip: withoutQemu,
  }, async (t) => {
    const slow = await runKtest(['--timeout', '3', '--', 'sh', '-c', 'ktest-suspend 3; sleep 600'])
    assert.match(
      slow.stderr,
      /root directory is the host's, and is gone after a suspend: start with --root memory/,
    )
    assert.match(slow.stderr, /was ended: its command ran longer than 3 s/)
    assert.equal(slow.code, 124)

    const module = join(temporaryDirectory(t), 'broken.ko')
    writeFileSync(module, 'this is no module')
    const broken = await runKtest(['--module', module, '--', 'true'])
    assert.match(broken.stderr, /guest: cannot load kernel module broken/)
    assert.equal(broken.code, 125)
  })
})
