/**
 * `import … from 'swtpm'`: TPMs that a program makes, exposes and scripts.
 * @see docs/scripting.md
 */

export { Exchange, type Sender } from '../responders/exchange.ts'
export type { Answer, Next, Responder } from '../responders/responder.ts'
export { type Delivery, Response } from '../responders/response.ts'
export { RuleError } from '../responders/rules/rule-error.ts'
export type { TpmControl } from '../responders/tpm-control.ts'
export type { When } from '../responders/when/when.ts'
export { SwtpmError, type SwtpmErrorCode } from '../system/errors.ts'
export { type Behind, connection, device, recording } from './behind.ts'
export { createTpm } from './create-tpm.ts'
export type { Device, Exposure } from './device.ts'
export type { DeviceFile } from './device-file.ts'
export * as effects from './effects.ts'
export { cuse, vtpmProxy } from './kernel-devices.ts'
export type { Startup, TpmOptions, TpmVersion } from './options.ts'
export { RC } from './result-codes.ts'
export type { Snapshot } from './snapshot.ts'
export { tcpSocket, unixSocket } from './sockets.ts'
export type { Fault, Tpm } from './tpm.ts'
