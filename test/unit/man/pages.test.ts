/** The manual pages: complete after the tables, and without a complaint of the programs that show them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { controlCode, ioctlNumber, verbNames } from '../../../contract/verbs.ts'
import { makePage } from '../../../man/generator/page.ts'
import { manualPages } from '../../../man/generator/pages.ts'
import { subcommands, swtpmOptions, tools } from '../../../man/generator/programs.ts'
import { projectRoot } from './project-root.ts'

const pages = manualPages(join(projectRoot, 'man'))

/** As a reader sees it, in one line. */
function rendered(page: string): string {
  const { stdout } = spawnSync('mandoc', ['-Tutf8', '-Owidth=200'], {
    input: pages.get(page)!,
    encoding: 'utf8',
  })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bold is a character, a backspace and the character again
  return stdout.replace(/.\x08/gu, '').replace(/\s+/g, ' ')
}

for (const [name, text] of pages) {
  test(`mandoc has nothing to say about ${name}`, () => {
    const { stdout, error } = spawnSync('mandoc', ['-Tlint', '-Wstyle'], { input: text, encoding: 'utf8' })
    assert.equal(error, undefined)
    assert.equal(stdout, '')
  })

  test(`man renders ${name} without a warning`, () => {
    const { stderr, status } = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-'], {
      input: text,
      encoding: 'utf8',
      env: { ...process.env, MANWIDTH: '80', MANROFFSEQ: '' },
    })
    assert.equal(stderr, '')
    assert.equal(status, 0)
  })
}

test('swtpm(8) has every option and sub-option', () => {
  const text = rendered('swtpm.8')
  for (const { words, sub = {} } of swtpmOptions()) {
    for (const word of words) assert.ok(text.includes(word), word)
    for (const name of Object.keys(sub)) assert.ok(text.includes(name), `${words.at(-1)} ${name}`)
  }
})

const programs = [['swtpm_cuse', swtpmOptions('cuse')], ...Object.entries(tools), ...subcommands] as const
for (const [program, options] of programs) {
  test(`${program}(8) has every option`, () => {
    const text = rendered(`${program}.8`)
    for (const { words, hidden } of options)
      if (!hidden) assert.ok(text.includes(` ${words.join(', ')} `), words[0])
  })
}

test('a page of ours that another one names is there, and no page has a heading twice', () => {
  for (const [name, text] of pages) {
    for (const [, page, section] of text.matchAll(/\b(swtpm[\w\\.-]*) ?\((\d)\)/g)) {
      const other = `${page?.replaceAll('\\', '')}.${section}`
      assert.ok(pages.has(other), `${name} names ${other}`)
    }
    const headings = text.match(/^\.S[HS] .*/gm) ?? []
    assert.deepEqual(headings, [...new Set(headings)], name)
  }
})

test('every part of swtpm has a page that swtpm(8) names', () => {
  for (const name of subcommands.keys()) assert.ok(rendered('swtpm.8').includes(`${name}(8)`), name)
})

test('swtpm_ioctls(3) has every verb with its numbers', () => {
  const text = rendered('swtpm_ioctls.3')
  for (const name of verbNames) {
    assert.match(text, new RegExp(`CMD_${name} .*Control code: 0x${controlCode(name).toString(16)} `))
    if (name !== 'SET_DATAFD')
      assert.ok(text.includes(`ioctl number: 0x${ioctlNumber(name).toString(16)}`), name)
  }
})

test('swtpm_ioctls(3) shows the structures of the specification', () => {
  assert.ok(
    rendered('swtpm_ioctls.3').includes(
      'struct ptm_getstate { union { struct { uint32_t state_flags; uint32_t type; uint32_t offset; } req; ' +
        'struct { ptm_res tpm_result; uint32_t state_flags; uint32_t totlength; uint32_t length; ' +
        'uint8_t data[3072]; } resp; } u; };',
    ),
  )
})

const faults: [template: string, fault: RegExp][] = [
  ['@option x', /^Error: t:1: the table has no option "x"/],
  ['.SH A\n@nonsense', /^Error: t:2: unknown directive "@nonsense"/],
  ['@table swtpm\n@option tpm2', /^Error: t: no line says where to put --server, /],
  [
    '@table swtpm_bios\n@option c\n@table swtpm',
    /^Error: t:3: no line above says where to put --tpm-device, /,
  ],
  ['@verb INIT', /^Error: t: no line says where to put GET_CAPABILITY, /],
  ['@verb FLY', /^Error: t:1: contract\/verbs.ts has no verb "FLY"/],
  ['@examples serial', /^Error: t:1: no interface "serial"/],
]
for (const [template, fault] of faults) {
  test(`a template is refused: ${template.replaceAll('\n', ' ')}`, () => {
    assert.throws(() => makePage('t', template), fault)
  })
}
