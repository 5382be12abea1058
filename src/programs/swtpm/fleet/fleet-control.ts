/** Where a fleet is asked. */
import { fleetCtrlSchema } from '../../../command-line/options/sub-options.ts'
import { unixEndpoint } from '../../../command-line/parse/endpoint.ts'
import { settingsOf } from '../../../command-line/parse/given.ts'
import type { UnixEndpoint } from '../../../serve/config.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { UsageError } from '../../common/options/usage-error.ts'
import { defaultSocketPath, type FLEET_OPTIONS } from './fleet-options.ts'

/** @throws UsageError */
export function controlOf(given: GivenOptions<typeof FLEET_OPTIONS>): UnixEndpoint {
  const values = settingsOf(given, 'ctrl', fleetCtrlSchema)
  if (!given.has('ctrl')) return unixEndpoint('ctrl', defaultSocketPath(process.env), values)
  if (values.type === undefined || values.path === undefined)
    throw new UsageError('--ctrl: type=unixio and path=PATH are required', 'ctrl')
  return unixEndpoint('ctrl', values.path, values)
}
