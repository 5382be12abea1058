/** A client that stays connected to a TPM through a TCTI library, as programs of the TSS do; it can be killed. */
import { createInterface } from 'node:readline'
import { PYTHON } from './python.ts'
import { Service } from './service.ts'
import type { Cleanup } from './swtpm.ts'

/** Takes commands as lines of hexadecimal digits and answers with the responses. */
const SCRIPT = `
import ctypes, sys
class Context(ctypes.Structure):
    _fields_ = [('magic', ctypes.c_uint64), ('version', ctypes.c_uint32), ('transmit', ctypes.c_void_p),
                ('receive', ctypes.c_void_p), ('finalize', ctypes.c_void_p)]
pointer = ctypes.POINTER(Context)
loader = ctypes.CDLL('libtss2-tctildr.so.0')
context = pointer()
code = loader.Tss2_TctiLdr_Initialize(sys.argv[1].encode(), ctypes.byref(context))
if code: sys.exit('Tss2_TctiLdr_Initialize: %#x' % code)
transmit = ctypes.CFUNCTYPE(ctypes.c_uint32, pointer, ctypes.c_size_t, ctypes.c_char_p)(context.contents.transmit)
receive = ctypes.CFUNCTYPE(ctypes.c_uint32, pointer, ctypes.POINTER(ctypes.c_size_t), ctypes.c_char_p,
                           ctypes.c_int32)(context.contents.receive)
print('connected', flush=True)
for line in sys.stdin:
    command = bytes.fromhex(line)
    code = transmit(context, len(command), command)
    if code: sys.exit('transmit: %#x' % code)
    response, size = ctypes.create_string_buffer(4096), ctypes.c_size_t(4096)
    code = receive(context, ctypes.byref(size), response, -1)
    if code: sys.exit('receive: %#x' % code)
    print(response.raw[:size.value].hex(), flush=True)
`

export class TctiClient {
  readonly service: Service
  readonly #lines: AsyncIterator<string>

  private constructor(t: Cleanup, tcti: string) {
    this.service = new Service(t, PYTHON, ['-c', SCRIPT, tcti], { input: true })
    const { stdout } = this.service.child
    if (stdout === null) throw new Error('no pipe')
    this.#lines = createInterface(stdout)[Symbol.asyncIterator]()
  }

  /** @param tcti as tpm2-tools take it: "tabrmd", "device:/dev/tpmrm0" … */
  static async connect(t: Cleanup, tcti: string): Promise<TctiClient> {
    const client = new TctiClient(t, tcti)
    await client.#line()
    return client
  }

  async command(bytes: Uint8Array): Promise<Buffer> {
    this.service.child.stdin?.write(`${Buffer.from(bytes).toString('hex')}\n`)
    return Buffer.from(await this.#line(), 'hex')
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done) {
      await this.service.exited
      throw new Error(`the TCTI client has ended: ${this.service.output}`)
    }
    return value
  }
}
