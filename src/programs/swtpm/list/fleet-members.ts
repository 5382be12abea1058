/** The TPMs of a fleet, as its supervisor tells them. */
import { isAbsolute } from 'node:path'
import { sentenceOf } from '../../../system/fault.ts'
import { within } from '../../../system/time-limit.ts'
import { readInSpiteOfFaults } from '../../common/options/read-options.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { ask } from '../fleet/fleet-client.ts'
import { controlOf } from '../fleet/fleet-control.ts'
import { FLEET_OPTIONS } from '../fleet/fleet-options.ts'
import type { Fleet, RunningTpm } from './running-tpms.ts'

/** It answers at once, unless it is stopped. */
const ANSWER_MS = 2000

/** Only a fleet of one's own is asked: another user's socket may be anything. */
export async function membersOf(fleet: Fleet): Promise<RunningTpm[]> {
  const { pid, uid } = fleet
  const alone = (remark: string): RunningTpm[] => [{ pid, uid, interface: 'fleet', remark }]
  if (uid !== process.geteuid?.())
    return alone('a fleet of another user: only that user may ask it for its TPMs')
  try {
    const answer = await within(ANSWER_MS, ask(socketOf(fleet), { verb: 'list' }), undefined)
    if (answer === undefined) return alone(`the fleet has not answered within ${ANSWER_MS / 1000} s`)
    if (!answer.ok) return alone(answer.error)
    if (answer.tpms.length === 0) return alone('a fleet without TPMs')
    return answer.tpms.map(
      ({ name, interface: iface, state, address, control, tpmstate, engine, insecureSeed, failure }) => ({
        pid,
        uid,
        name,
        interface: iface,
        activity: 'awake',
        ...(address !== undefined && { address }),
        ...(control !== undefined && { control }),
        ...(engine !== undefined && { engine }),
        ...(insecureSeed !== undefined && { insecureSeed }),
        state: tpmstate,
        ...(state !== 'running' && { remark: failure === undefined ? state : `${state}: ${failure}` }),
      }),
    )
  } catch (error) {
    return alone(sentenceOf(error))
  }
}

/** @throws Fault */
function socketOf({ words }: Fleet): string {
  const { path } = controlOf(readInSpiteOfFaults(FLEET_OPTIONS, words))
  if (isAbsolute(path)) return path
  throw new ToolFailure(
    `a fleet whose socket is "${path}", from where it was started: ask it there with swtpm fleet list`,
  )
}
