import { guarded } from '../../src/system/guard.ts'
import { judgeKernel } from './driver-suite.ts'

guarded(judgeKernel('6.1'))
