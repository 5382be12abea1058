/** What a kernel was configured with. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from './kernel.ts'

/**
 * @param options without CONFIG_
 * @returns those that are neither y nor m; undefined where nothing says how the kernel was configured, as of a bzImage
 */
export function optionsMissing(kernel: Kernel, options: readonly string[]): string[] | undefined {
  const file = fileOf(kernel)
  if (file === undefined) return undefined
  const text = readFileSync(file, 'utf8')
  return options.filter((option) => !new RegExp(`^CONFIG_${option}=[ym]$`, 'm').test(text))
}

/** A package has it beside the image, a tree in its root, an installed kernel in both places. */
function fileOf({ directory, release, modules, bzImage }: Kernel): string | undefined {
  const package_ = directory === undefined ? [] : [join(directory, 'boot', `config-${release}`)]
  const tree = modules === undefined ? [] : [join(modules, '.config'), join(modules, 'config')]
  const installed = /^(.*\/)vmlinuz-(.*)$/.exec(bzImage)
  const beside = installed === null ? [] : [`${installed[1]}config-${installed[2]}`]
  return [...package_, ...tree, ...beside].find((file) => existsSync(file))
}
