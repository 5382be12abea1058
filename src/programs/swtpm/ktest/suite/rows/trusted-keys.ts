/** Keys that the kernel has its TPM make and seal: `keyctl add trusted`. The TPM has to be there while the kernel boots. */
import { expect, type MachineResult, type MachineRow, notOk, skipped, type Verdict } from '../row.ts'

/** What a script ends with that lacks a program. */
const NO_PROGRAM = 77
const STORAGE_KEY = '0x81000001'

const NEEDS_PROGRAMS = (names: string): string =>
  `for name in ${names}; do command -v $name >/dev/null || { echo "$name"; exit ${NO_PROGRAM}; }; done`

/** A key to seal under. */
const PROVISION = [
  NEEDS_PROGRAMS('keyctl tpm2_createprimary tpm2_evictcontrol'),
  'export TPM2TOOLS_TCTI=device:$TPMRM_0',
  `cd /tmp && tpm2_createprimary -Q -C o -c srk.ctx && tpm2_evictcontrol -Q -C o -c srk.ctx ${STORAGE_KEY} || exit 1`,
]
const addRule = (rule: string): string => `swtpm fault "$TPM_0_SCRIPT" add '${rule}' >/dev/null || exit 1`

/** Says what became of it. */
const ADD_KEY = `keyctl add trusted suite "new 32 keyhandle=${STORAGE_KEY}" @u >/dev/null 2>/tmp/said && echo added || cat /tmp/said`

const script = (...lines: readonly string[]): string => lines.join('\n')

/** @param judge what the kernel has answered to the wish for a key: `added`, or an error in words */
const judged =
  (judge: (said: string, result: MachineResult) => Verdict) =>
  (result: MachineResult): Verdict => {
    const said = result.stdout.trim()
    if (result.status === NO_PROGRAM) return skipped(`this machine has no ${said}`)
    if (result.status !== 0) return notOk(`the TPM could not be prepared: exit status ${result.status}`)
    return judge(said, result)
  }

/** GetRandom with one byte, however many are asked for. */
const ONE_BYTE = '80010000000d000000000001aa'
/** A name by an algorithm that there is not. */
const ODD_NAME = `7777${'aa'.repeat(32)}`

export const TRUSTED_KEY_ROWS: readonly MachineRow[] = [
  {
    name: 'trusted_key_of_few_random_bytes',
    fix: 'KEYS: trusted: Fix incorrect handling of tpm_get_random()',
    needs: ['TRUSTED_KEYS'],
    root: 'host',
    tpm: 'tis',
    // The firmware asks for random numbers, too: without them it takes the hierarchies away.
    script: script(...PROVISION, addRule(`GetRandom: respond=${ONE_BYTE}`), ADD_KEY),
    judge: judged((said) =>
      expect(said !== 'added', 'a key has been made of fewer random bytes than it has'),
    ),
  },
  {
    name: 'trusted_key_sealing_error',
    fix: 'tpm: fix RC value check in tpm2_seal_trusted',
    needs: ['TRUSTED_KEYS'],
    root: 'host',
    // The bits of HASH are among those of HANDLE.
    tpm: 'tis,fault=Create: rc=HANDLE@h1',
    script: script(...PROVISION, ADD_KEY),
    judge: judged((said) => expect(/not permitted/.test(said), `HANDLE is told as: ${said}`)),
  },
  {
    name: 'trusted_key_parent_with_odd_name',
    fix: 'tpm2-sessions: Fix out of range indexing in name_size',
    needs: ['TRUSTED_KEYS', 'TCG_TPM2_HMAC'],
    root: 'host',
    tpm: 'tis',
    script: script(
      ...PROVISION,
      // The tools have asked for names, too.
      addRule(`ReadPublic: set=name:${ODD_NAME}`),
      ADD_KEY,
    ),
    judge: judged((said, { log }) => {
      if (said === 'added') return notOk('a key has been sealed under a parent with a name of no algorithm')
      const told = log.some((line) => /unsupported name algorithm/.test(line))
      return expect(told, `the kernel takes the name for one: ${said}`)
    }),
  },
  {
    name: 'trusted_keys_with_a_deactivated_tpm',
    fix: 'KEYS: trusted: allow module init if TPM is inactive or deactivated',
    needs: ['TRUSTED_KEYS'],
    root: 'host',
    tpm: 'tis,1.2,fault=GetRandom: rc=DEACTIVATED',
    // No key can be had. There is such a kind of keys, if what is wrong with this one is its words.
    script: script(NEEDS_PROGRAMS('keyctl'), 'keyctl add trusted suite nonsense @u 2>&1; true'),
    judge: judged((said) => expect(/Invalid argument/.test(said), `there are no trusted keys: ${said}`)),
  },
]
