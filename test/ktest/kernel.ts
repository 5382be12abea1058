/** What holds of `swtpm ktest` on each kernel. A machine takes seconds to boot, so that each of these looks at many things. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { commandCodes, messagesIn, runKtest, withoutKernel } from '../support/ktest.ts'
import { temporaryDirectory } from '../support/swtpm.ts'

const STARTUP = 0x144
const SHUTDOWN = 0x145
const GET_RANDOM = 0x17b

/** A page allocation of 16 MB that root asks the kernel for: harmless, and the kernel warns of it. */
const PLANT_WARNING = `
import socket
open('/proc/sys/net/core/optmem_max', 'w').write('1000000000')
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
try:
    a.sendmsg([b'x'], [(socket.SOL_SOCKET, 2, bytes(16 << 20))])
except OSError:
    pass
`

export async function describeKernel(series: string): Promise<void> {
  const skip = await withoutKernel(series)
  const random = (device: string) => `tpm2_getrandom -T device:${device} --hex 8; echo`

  describe(`swtpm ktest --kernel ${series}`, { skip }, () => {
    it('has three TPMs at a time, traces each, and finds a warning of the kernel', async (t) => {
      const directory = temporaryDirectory(t)
      writeFileSync(join(directory, 'warn.py'), PLANT_WARNING)
      const script = [
        'ls $TPM_0 $TPMRM_0 $TPM_1 $TPMRM_1 $TPM_old',
        ...['$TPMRM_0', '$TPMRM_1'].map(random),
        // Rules at run time: of a TPM in the guest, and of one that is outside.
        ...['0', '1'].map((tpm) => `swtpm fault $TPM_${tpm}_SCRIPT add "ReadClock: rc=FAILURE" >/dev/null`),
        ...['$TPM_0', '$TPM_1'].map(
          (device) => `tpm2_readclock -T device:${device} >/dev/null 2>&1; echo $?`,
        ),
        'swtpm fault $TPM_1_SCRIPT list | tail -n 1',
        'ls /sys/class/tpm/$(basename $TPM_0) | grep pcr-',
        'grep -c "seed-insecure 7" /run/guest/tpm-0/errors',
        // What a program writes into the log is no splat.
        'echo "BUG: this is no bug of the kernel" >/dev/kmsg',
        '/usr/bin/python3 warn.py',
        'echo "to standard error" >&2; exit 3',
      ].join('\n')
      const { code, stdout, stderr } = await runKtest(
        [
          ...['--kernel', series, '--tpm', 'vtpm,mode=banks=sha384,seed=7', '--tpm', 'tis'],
          ...['--tpm', 'old=cuse,1.2'],
          ...['--fail-on', 'bug,warning', '--out', 'out', '--', 'sh', '-c', script],
        ],
        directory,
      )
      assert.equal(code, 65, stderr)
      assert.match(stderr, /^to standard error$/m)
      assert.match(stderr, /log has 1 warning; the command ended with 3\n {2}\[.*\] WARNING: .*__alloc_pages/)
      const lines = stdout.trim().split('\n')
      assert.deepEqual(lines.slice(0, 5), [
        ...['/dev/tpm0', '/dev/tpm1', '/dev/tpmrm0', '/dev/tpmrm1', '/dev/vtpm2'],
      ])
      for (const line of lines.slice(5, 7)) assert.match(line, /^[0-9a-f]{16}$/)
      assert.deepEqual(lines.slice(7, 9), ['1', '1'], 'the clock cannot be read')
      assert.match(lines[9] ?? '', /^1 +- +1 +ReadClock: rc=FAILURE$/)
      assert.equal(lines[10], 'pcr-sha384')
      assert.notEqual(lines[11], '0', 'the TPM has its seed')
      assert.equal(lines.length, 12)
      const out = join(directory, 'out')
      const dmesg = readFileSync(join(out, 'dmesg.txt'), 'utf8')
      assert.match(dmesg, /^\[ {4}0\.000000\] Linux version /m)
      assert.match(dmesg, /tpm_tis .* 2\.0 TPM/)
      for (const [name, line] of [
        ['0', lines[5]],
        ['1', lines[6]],
      ] as const) {
        const messages = messagesIn(out, `trace-${name}.pcapng`)
        assert.equal(messages.length % 2, 0, 'each command has its response')
        const answers = messages.filter((message) => message.toString('hex').endsWith(line!))
        assert.equal(answers.length, 1, `the trace of TPM ${name} has the random number that its client saw`)
      }
      assert.equal(commandCodes(out, 'trace-old.pcapng').length > 0, true)
      // The same to be replayed.
      for (const [name, version, line] of [
        ['0', '2', lines[5]],
        ['1', '2', lines[6]],
        ['old', '1.2', ''],
      ] as const) {
        const recorded = readFileSync(join(out, `tpm-${name}.tpmrec`), 'utf8')
          .trim()
          .split('\n')
        const [header, ...exchanges] = recorded.map((text) => JSON.parse(text))
        assert.deepEqual([header.tpmrec, header.version], [1, version])
        assert.ok(
          exchanges.some(({ r }: { r?: string }) => r?.endsWith(line!)),
          `recording of TPM ${name}`,
        )
      }
      // In words.
      assert.match(readFileSync(join(out, 'trace-1.txt'), 'utf8'), / Startup startupType CLEAR +→ SUCCESS$/m)
      assert.match(readFileSync(join(out, 'trace-0.txt'), 'utf8'), new RegExp(`randomBytes ${lines[5]}`))
    })

    for (const kind of ['tis', 'crb']) {
      it(`suspends to RAM and wakes, its TPM behind tpm-${kind}; the command's exit code comes back`, async (t) => {
        const directory = temporaryDirectory(t)
        const script = `${random('$TPM_0')}; ktest-suspend 2 && ${random('$TPMRM_0')}; exit 7`
        const { code, stdout, stderr } = await runKtest([
          ...['--kernel', series, '--tpm', kind, '--root', 'memory', '--fail-on', 'warning,bug,hung'],
          ...['--out', directory, '--', 'sh', '-c', script],
        ])
        assert.equal(code, 7, stderr)
        assert.match(stdout, /^[0-9a-f]{16}\n[0-9a-f]{16}\n$/)
        assert.match(
          readFileSync(join(directory, 'dmesg.txt'), 'utf8'),
          /Waking up from system sleep state S3/,
        )
        const commands = messagesIn(directory).filter((_, at) => at % 2 === 0)
        const isOfState = (command: Buffer, code: number) =>
          command.readUInt32BE(6) === code && command.readUInt16BE(10) === 1
        const shutdown = commands.findIndex((command) => isOfState(command, SHUTDOWN))
        const startup = commands.findIndex((command) => isOfState(command, STARTUP))
        assert.equal(shutdown > 0, true, 'the driver saves the state')
        assert.equal(startup > shutdown, true, 'the firmware brings it back')
        const after = commands.slice(startup).map((command) => command.readUInt32BE(6))
        assert.equal(after.includes(GET_RANDOM), true)
      })
    }

    it('wakes with a TPM that has lost its state, which refuses every command from then on', async (t) => {
      const directory = temporaryDirectory(t)
      // The driver is told that the state has been saved, and it has not.
      const fault = 'Shutdown[shutdownType=STATE]: respond=80010000000a00000000'
      const { code, stderr } = await runKtest([
        ...['--kernel', series, '--tpm', `tis,fault=${fault}`, '--root', 'memory', '--out', directory],
        ...['--', 'sh', '-c', 'ktest-suspend 2 && head -c 8 /dev/hwrng; exit 7'],
      ])
      assert.equal(code, 7, stderr)
      const dmesg = readFileSync(join(directory, 'dmesg.txt'), 'utf8')
      assert.match(dmesg, /tpm tpm0: A TPM error \(256\) occurred attempting get random/)
      const trace = readFileSync(join(directory, 'trace.txt'), 'utf8')
      assert.match(trace, /Startup startupType STATE +→ VALUE at parameter 1 \(startupType\)/)
      assert.match(trace, /GetRandom .*→ INITIALIZE/)
    })
  })
}
