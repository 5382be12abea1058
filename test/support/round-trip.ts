/** One TPM command on a connection of its own. */
import { RawConnection } from './raw-connection.ts'
import { responseCode, TPM2 } from './tpm-commands.ts'

/** @param path of the socket that takes TPM commands @returns the response code */
export async function roundTrip(path: string): Promise<number> {
  const data = await RawConnection.open(path)
  data.write(TPM2.getRandom())
  const response = await data.readResponse()
  data.close()
  return responseCode(response)
}
