/** Entry point of swtpm_bios. */

import { runClientTool } from '../programs/common/client/client-tool.ts'
import { runBios } from '../programs/swtpm_bios/run-bios.ts'

void runClientTool(() => runBios(process.argv.slice(2), process.env), 255)
