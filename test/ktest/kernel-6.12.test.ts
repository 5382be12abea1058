import { guarded } from '../../src/system/guard.ts'
import { describeKernel } from './kernel.ts'

guarded(describeKernel('6.12'))
