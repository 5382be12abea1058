/** Entry point of swtpm_ioctl. */
import { runClientTool } from '../common/client/client-tool.ts'
import { runIoctl } from './run-ioctl.ts'

void runClientTool(() => runIoctl(process.argv.slice(2), process.env), 1)
