import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exitCodeOfSplat } from '../../../../../src/programs/swtpm/ktest/splat-classes.ts'
import {
  countsOf,
  firstOf,
  splatIn,
  splatsOnConsole,
} from '../../../../../src/programs/swtpm/ktest/splats.ts'

/** Lines as kernels print them. */
const LINES: readonly (readonly [kind: string | undefined, text: string])[] = [
  ['warning', 'WARNING: CPU: 0 PID: 151 at mm/page_alloc.c:5634 __alloc_pages+0x2a9/0x330'],
  ['warning', 'WARNING: mm/page_alloc.c:4832 at __alloc_pages_noprof+0x303/0x310, CPU#1: python3/191'],
  ['bug', 'BUG: unable to handle page fault for address: ffffc90000413908'],
  ['bug', 'BUG: kernel NULL pointer dereference, address: 0000000000000008'],
  ['bug', 'kernel BUG at mm/slub.c:305!'],
  ['bug', 'Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1] PREEMPT SMP'],
  ['bug', 'general protection fault, probably for non-canonical address 0xdead000000000108: 0000 [#1]'],
  ['bug', 'Kernel panic - not syncing: Fatal exception'],
  ['bug', 'UBSAN: array-index-out-of-bounds in drivers/char/tpm/tpm2-cmd.c:100:10'],
  ['bug', 'BUG kmalloc-64 (Not tainted): Poison overwritten'],
  ['bug', 'list_del corruption. prev->next should be ffff888004c41d40, but was 0000000000000000'],
  ['kasan', 'BUG: KASAN: slab-out-of-bounds in tpm2_get_random+0x1e0/0x2a0 [tpm]'],
  ['kasan', 'BUG: KFENCE: use-after-free read in tpm_transmit+0x1e0/0x2a0'],
  ['kmemleak', 'kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'],
  ['lockdep', 'WARNING: possible circular locking dependency detected'],
  ['lockdep', 'WARNING: possible recursive locking detected'],
  ['lockdep', 'WARNING: inconsistent lock state'],
  ['lockdep', 'WARNING: suspicious RCU usage'],
  ['lockdep', 'WARNING: bad unlock balance detected!'],
  ['lockdep', 'WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected'],
  ['hung', 'INFO: task tpm2_getrandom:151 blocked for more than 120 seconds.'],
  ['hung', 'watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kworker/0:1:7]'],
  ['hung', 'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:'],
  [undefined, 'tpm tpm0: A TPM error (257) occurred attempting get random'],
  [undefined, 'kmemleak: Kernel memory leak detector initialized (mem pool available: 15000)'],
  [undefined, 'tpm_tis MSFT0101:00: [Firmware Bug]: TPM interrupt not working, polling instead'],
]

describe('splats of a kernel', () => {
  for (const [kind, text] of LINES)
    it(`${kind ?? 'none'}: ${text}`, () => {
      assert.equal(splatIn({ isKernel: true, text })?.kind, kind)
      assert.equal(splatIn({ isKernel: false, text }), undefined, 'a program has written it')
    })

  it('are found on the console of a kernel that has died', () => {
    const console =
      '[    1.0] x\n[    6.360153][  T151] kernel BUG at mm/slub.c:305!\n[    7.1] Kernel panic - y'
    assert.deepEqual(
      splatsOnConsole(console).map(({ text }) => text),
      ['kernel BUG at mm/slub.c:305!', 'Kernel panic - y'],
    )
  })

  it('are judged in the order of the log, and counted', () => {
    const splats = (['warning', 'kasan', 'warning'] as const).map((kind) => ({ kind, text: kind }))
    assert.equal(firstOf(splats, ['kasan', 'warning'])?.kind, 'warning')
    assert.equal(firstOf(splats, ['kasan'])?.kind, 'kasan')
    assert.equal(firstOf(splats, ['hung']), undefined)
    assert.equal(countsOf(splats), '2 warning, 1 kasan')
  })

  it('give an exit code each', () => {
    assert.deepEqual(
      (['warning', 'bug', 'kasan', 'kmemleak', 'lockdep', 'hung'] as const).map(exitCodeOfSplat),
      [65, 66, 67, 68, 69, 70],
    )
  })
})
