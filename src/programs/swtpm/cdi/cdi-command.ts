/** `swtpm cdi`: writes and removes the specification by which container runtimes find a TPM. */

import { existsSync, lstatSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { sentenceOf } from '../../../system/fault.ts'
import { makeDirectories } from '../../../system/make-directories.ts'
import { reasonOf } from '../../../system/reason.ts'
import { workingDirectory } from '../../../system/surroundings.ts'
import { writeFileAtomic } from '../../common/atomic-file.ts'
import { helpScreen } from '../../common/help.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { unknownVerb } from '../../common/options/unknown-verb.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { CDI_OPTIONS, CDI_VERBS, DEFAULT_DIRECTORY, DEFAULT_VERSION } from './cdi-options.ts'
import {
  type CdiVersion,
  type ContainerTpm,
  cdiSpecification,
  DEFAULT_KIND,
  fileName,
  isDeviceName,
  kindFault,
} from './cdi-specification.ts'

/** @param argv the words behind `cdi` @returns the exit code */
export async function cdi(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(CDI_OPTIONS, argv)
    if (given.has('help')) {
      printOut(`${await helpText()}\n`)
      return 0
    }
    const [verb, ...strays] = given.strays
    if (strays.length > 0) throw new UsageError(`Unknown parameter '${strays[0]}'`)
    if (verb === 'write') write(given)
    else if (verb === 'remove') remove(given)
    else throw unknownVerb(verb, CDI_VERBS)
    return 0
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm cdi', 'swtpm cdi', error, CDI_OPTIONS))
    else printError(`swtpm cdi: ${sentenceOf(error)}\n`)
    return 1
  }
}

type Given = GivenOptions<typeof CDI_OPTIONS>

function write(given: Given): void {
  const { name, kind, file, directory } = place(given)
  const device = given.text('device')
  if (device === undefined) throw new UsageError('Missing --device PATH: the device of the TPM', 'device')
  requireDevice(device)
  const nodes = nodesOf(device)
  if (nodes.device !== undefined && isCuse(nodes.device)) {
    const instead =
      nodes.resourceManager === undefined
        ? 'use swtpm chardev --vtpm-proxy'
        : `give --device ${nodes.resourceManager}`
    printError(
      `swtpm cdi: "${device}" is a device of CUSE: a container that has it controls the TPM, and can take its state out; ` +
        `${instead} for containers that are not trusted\n`,
    )
  }
  const version = (given.text('cdi-version') ?? DEFAULT_VERSION) as CdiVersion
  const pidFile = given.text('end-with-container')
  const end = pidFile === undefined ? undefined : { pidFile: absolute(pidFile), files: [absolute(file)] }
  const specification = cdiSpecification({ name, ...nodes, end }, kind, version)
  try {
    makeDirectories(directory, 0o755)
    // Runtimes watch the directory: they must never find half a file, nor the name of one that is being written.
    writeFileAtomic(file, `${JSON.stringify(specification, undefined, 2)}\n`, 0o644)
  } catch (error) {
    throw new ToolFailure(`Cannot write "${file}": ${reasonOf(error)}`, { cause: error })
  }
}

/** The runtime's hook has another working directory. @throws ToolFailure where there is none that the path could begin in */
function absolute(path: string): string {
  const directory = workingDirectory()
  if (directory === undefined && !isAbsolute(path))
    throw new ToolFailure(`"${path}" begins in the working directory, which is gone: name an absolute path`)
  return resolve(directory ?? '/', path)
}

/** @throws ToolFailure */
function requireDevice(path: string): void {
  let isDevice: boolean
  try {
    isDevice = lstatSync(path).isCharacterDevice()
  } catch (error) {
    throw new ToolFailure(`"${path}" is not a device: ${reasonOf(error)}; start the TPM first`, {
      cause: error,
    })
  }
  if (!isDevice) throw new ToolFailure(`"${path}" is not a device: start the TPM first`)
}

/** The devices that a container gets. Of a CUSE TPM the one for many clients may be given alone: it has no ioctls. */
function nodesOf(device: string): Pick<ContainerTpm, 'device' | 'resourceManager'> {
  const [, number] = /^\/dev\/tpm(\d+)$/.exec(device) ?? []
  if (number !== undefined) {
    const beside = `/dev/tpmrm${number}`
    return { device, resourceManager: existsSync(beside) ? beside : undefined }
  }
  if (!isCuse(device)) return { device, resourceManager: undefined }
  const [, plain] = /^(.+)rm$/.exec(device) ?? []
  if (plain !== undefined && isCuse(plain)) return { device: undefined, resourceManager: device }
  const beside = `${device}rm`
  return { device, resourceManager: isCuse(beside) ? beside : undefined }
}

/** Whether ioctls on the device are PTM verbs. */
function isCuse(device: string): boolean {
  try {
    const number = statSync(device).rdev
    const [major, minor] = [(number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00)]
    return basename(readlinkSync(`/sys/dev/char/${major}:${minor}/subsystem`)) === 'cuse'
  } catch {
    return false
  }
}

/** Done is done: what ends a TPM may say so twice. */
function remove(given: Given): void {
  const { file } = place(given)
  try {
    rmSync(file, { force: true })
  } catch (error) {
    throw new ToolFailure(`Cannot remove "${file}": ${reasonOf(error)}`, { cause: error })
  }
}

function place(given: Given): { name: string; kind: string; directory: string; file: string } {
  const name = given.text('name')
  if (name === undefined) throw new UsageError('Missing --name NAME: what a container asks for', 'name')
  if (!isDeviceName(name)) {
    throw new ToolFailure(`"${name}" cannot be a device's name: letters, digits and, between them, _ - . :`)
  }
  const kind = given.text('kind') ?? DEFAULT_KIND
  const fault = kindFault(kind)
  if (fault !== undefined) throw new ToolFailure(`Kind "${kind}": ${fault}`)
  const directory = given.text('dir') ?? DEFAULT_DIRECTORY
  return { name, kind, directory, file: join(directory, fileName(kind, name)) }
}

const helpText = (): Promise<string> =>
  helpScreen({
    tool: 'swtpm cdi write|remove',
    summary: 'Tells container runtimes of a TPM that is there, by the Container Device Interface.',
    table: CDI_OPTIONS,
    examples: [
      ['swtpm cdi write --name web --device /dev/tpm3', 'after swtpm chardev --vtpm-proxy has announced it'],
      ['swtpm cdi write --name web --device /dev/vtpm0rm', 'of swtpm cuse -n vtpm0 --resource-manager'],
      [`podman run --device ${DEFAULT_KIND}=web …`, 'inside it is /dev/tpm0 and /dev/tpmrm0'],
      ['swtpm cdi remove --name web', 'when the TPM ends'],
    ],
    epilogue: 'A TPM of one container is given to no other: the runtime does not watch over that.',
  })
