/** Entry point of swtpm_bios. */

import { runClientTool } from '../common/client/client-tool.ts'
import { runBios } from './run-bios.ts'

void runClientTool(() => runBios(process.argv.slice(2), process.env), 255)
