/** Sends a command to the TPM. @returns its response @throws RangeError: it refuses, unless that is expected */
export type Send = (command: Buffer, expected?: readonly number[]) => Promise<Buffer>
