/** Entry point of swtpm_ioctl. */
import { runClientTool } from '../tools/client-tool.ts'
import { runIoctl } from '../tools/ioctl/run.ts'

void runClientTool(() => runIoctl(process.argv.slice(2), process.env), 1)
