import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkName, readTpmLines, splitWords } from '../../../../../src/programs/swtpm/fleet/tpms-file.ts'

describe('words of a line', () => {
  const cases: [text: string, words: string[]][] = [
    ['', []],
    [' socket\t--tpm2 ', ['socket', '--tpm2']],
    [`dir='a b'/c "d e"`, ['dir=a b/c', 'd e']],
    [`'' ""`, ['', '']],
    [String.raw`a\ b 'c\d' "e\"f" g\\h`, ['a b', String.raw`c\d`, 'e"f', String.raw`g\h`]],
    ['$HOME *.x # y', ['$HOME', '*.x', '#', 'y']],
  ]
  for (const [text, words] of cases) it(JSON.stringify(text), () => assert.deepEqual(splitWords(text), words))
  it('a quotation without end is refused', () => {
    assert.throws(() => splitWords(`a 'b`), /begins with ' does not end/)
    assert.throws(() => splitWords('a\\'), /ends with/)
  })
})

describe('the file of --tpms', () => {
  it('a TPM a line; comments, empty lines and continued ones', () => {
    const { tpms, faults } = readTpmLines(
      '# all\n\na: socket --tpm2\nb:cuse \\\n  -n vtpm0\n\n  c :  chardev',
    )
    assert.deepEqual(faults, [])
    assert.deepEqual(tpms, [
      { number: 3, name: 'a', words: ['socket', '--tpm2'] },
      { number: 4, name: 'b', words: ['cuse', '-n', 'vtpm0'] },
      { number: 7, name: 'c', words: ['chardev'] },
    ])
  })
  it('a bad line is told by its number and spoils no other', () => {
    const { tpms, faults } = readTpmLines(`socket\n../x: socket\na: socket 'b\nb: socket`)
    assert.deepEqual(
      tpms.map(({ name }) => name),
      ['b'],
    )
    assert.deepEqual(
      faults.map(({ number }) => number),
      [1, 2, 3],
    )
  })
})

describe('a TPM’s name', () => {
  for (const name of ['a', 'web-1', 'VM_2.x', '0', 'a'.repeat(64)])
    it(`${name} is one`, () => checkName(name))
  for (const name of ['', '-a', '.', 'a/b', 'a b', 'ä', 'a'.repeat(65)])
    it(`"${name}" is none`, () => assert.throws(() => checkName(name), /cannot be a TPM's name/))
})
