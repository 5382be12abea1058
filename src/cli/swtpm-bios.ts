/** Entry point of swtpm_bios. */
import { runBios } from '../tools/bios/run.ts'
import { runClientTool } from '../tools/client-tool.ts'

void runClientTool(() => runBios(process.argv.slice(2), process.env), 255)
