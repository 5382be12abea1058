/** Entry point of swtpm_ioctl. */
import { runClientTool } from '../programs/common/client/client-tool.ts'
import { runIoctl } from '../programs/swtpm_ioctl/run-ioctl.ts'

void runClientTool(() => runIoctl(process.argv.slice(2), process.env), 1)
