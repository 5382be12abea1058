/**
 * Bytes read by the types of schema.ts into a tree of fields. Whatever the bytes are, reading ends: no field is longer than what is
 * there, and each element of a list takes at least a byte.
 */
import { DIGEST_BYTES } from './codes.ts'
import { type FieldNode, newField, pathOf, sizeBytes } from './fields.ts'
import type { Field, Type } from './schema.ts'

/** What makes the bytes differ from what the tables say. It stays in this file. */
class Unfit extends Error {}

const claims = (what: string, said: number, there: number): string =>
  `${what} is cut: ${said} bytes by its size, ${there} there`

/** Reads one field after another. What does not fit is said once, as {@link problem}, and ends the reading of its container. */
export class FieldReader {
  readonly #bytes: Buffer
  #at: number
  #end: number
  /** The first thing that did not fit. */
  problem: string | undefined

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#end = Math.min(end, bytes.length)
  }

  get at(): number {
    return this.#at
  }

  get left(): number {
    return this.#end - this.#at
  }

  /** Notes what is wrong, if nothing was before. */
  note(problem: string): void {
    this.problem ??= problem
  }

  /** @returns whether all fields fitted */
  fields(fields: readonly Field[], parent: FieldNode, enciphersFirst = false): boolean {
    try {
      this.#fields(fields, parent, enciphersFirst)
      return true
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      this.note(error.message)
      return false
    }
  }

  /** Reads `length` bytes as a part of its own. */
  within(length: number, read: () => void): void {
    const end = this.#end
    this.#end = Math.min(end, this.#at + length)
    const inner = this.#end
    read()
    this.#at = inner
    this.#end = end
  }

  #fields(fields: readonly Field[], parent: FieldNode, enciphersFirst = false): void {
    for (const [index, field] of fields.entries()) {
      const { name, type } = field
      if (
        index === 0 &&
        enciphersFirst &&
        (type.kind === 'bytes' || type.kind === 'sized') &&
        type.width === 2
      )
        this.#leaf(name, { kind: 'bytes', width: 2, sizeName: 'size', secret: false }, parent, true)
      else this.#read(name, type, parent, field.selector)
    }
  }

  #read(name: string, type: Type, parent: FieldNode, selector: string | undefined): void {
    switch (type.kind) {
      case 'number':
      case 'bytes':
      case 'fixed':
        this.#leaf(name, type, parent)
        return
      case 'digest':
        this.#digest(name, type, parent, selector)
        return
      case 'union':
        this.#union(name, type, parent, selector)
        return
      case 'struct':
        this.#container(name, type, parent, (node) => this.#fields(type.fields, node))
        return
      case 'sized':
        this.#sized(name, type, parent)
        return
      case 'list':
        this.#list(name, type, parent)
    }
  }

  #leaf(
    name: string,
    type: Extract<Type, { kind: 'number' | 'bytes' | 'fixed' }>,
    parent: FieldNode,
    enciphered = false,
  ): void {
    const offset = this.#at
    if (type.kind === 'number') {
      const value = this.#number(type.width, type.signed, name, parent)
      newField(name, type, offset, type.width, parent, value)
      return
    }
    if (type.kind === 'fixed') {
      this.#skip(type.length, name, parent)
      newField(name, type, offset, type.length, parent)
      return
    }
    const size = type.width === 0 ? this.left : Number(this.#number(type.width, false, name, parent))
    this.#skip(size, name, parent, offset)
    newField(name, type, offset, type.width + size, parent, undefined, enciphered)
  }

  #digest(name: string, type: Type, parent: FieldNode, selector: string | undefined): void {
    const algorithm = numberOf(parent, selector)
    const size = DIGEST_BYTES.get(algorithm ?? 0)
    if (size === undefined)
      throw new Unfit(`${at(parent, name)} is of the unknown algorithm 0x${(algorithm ?? 0).toString(16)}`)
    const offset = this.#at
    this.#skip(size, name, parent)
    newField(name, type, offset, size, parent)
  }

  #union(
    name: string,
    type: Extract<Type, { kind: 'union' }>,
    parent: FieldNode,
    selector: string | undefined,
  ): void {
    const field = parent.children.find((child) => child.name === selector)
    const value = numberOf(parent, selector) ?? 0
    const table = field?.type.kind === 'number' ? field.type.constants : undefined
    const choice = type.choices.get(table?.text(value) ?? '') ?? type.choices.get('*')
    if (choice === undefined) {
      const word = table?.text(value) ?? `0x${value.toString(16)}`
      throw new Unfit(`${at(parent, name)} has no form for ${selector} ${word}`)
    }
    this.#read(name, choice(), parent, undefined)
  }

  #sized(name: string, type: Extract<Type, { kind: 'sized' }>, parent: FieldNode): void {
    this.#container(name, type, parent, (node) => {
      const size = Number(this.#number(type.width, false, name, parent))
      const there = this.left
      if (size === 0) return
      this.within(size, () => {
        const inner = type.of()
        const fitted =
          inner.kind === 'struct'
            ? this.fields(inner.fields, node)
            : this.fields([{ name: 'value', type: inner, selector: undefined }], node)
        if (fitted && size <= there && this.left > 0)
          this.note(`${at(parent, name)} has ${this.left} bytes too many`)
      })
      if (size > there) throw new Unfit(claims(at(parent, name), size, there))
    })
  }

  #list(name: string, type: Extract<Type, { kind: 'list' }>, parent: FieldNode): void {
    this.#container(name, type, parent, (node) => {
      const count = Number(this.#number(type.width, false, name, parent))
      for (let index = 0; index < count; index++) {
        if (this.left === 0)
          throw new Unfit(`${at(parent, name)} is cut: ${count} by its count, ${index} there`)
        this.#read(`[${index}]`, type.of(), node, undefined)
      }
    })
  }

  /**
   * A field with fields in it is as long as they are, also when one of them does not fit. One whose own size or count is cut
   * off is not there.
   */
  #container(name: string, type: Type, parent: FieldNode, read: (node: FieldNode) => void): void {
    const node = newField(name, type, this.#at, 0, parent)
    try {
      read(node)
    } finally {
      node.length = this.#at - node.offset
      if (node.length < sizeBytes(node)) parent.children.pop()
    }
  }

  #number(width: number, signed: boolean, name: string, parent: FieldNode): number | bigint {
    if (this.left < width) throw new Unfit(`${at(parent, name)} is cut off`)
    const from = this.#at
    this.#at += width
    if (width === 8) return this.#bytes.readBigUInt64BE(from)
    return signed ? this.#bytes.readIntBE(from, width) : this.#bytes.readUIntBE(from, width)
  }

  #skip(size: number, name: string, parent: FieldNode, back = this.#at): void {
    if (size > this.left) {
      const there = this.left
      this.#at = back
      throw new Unfit(claims(at(parent, name), size, there))
    }
    this.#at += size
  }
}

/** Where a field that has not been read would be. */
const at = (parent: FieldNode, name: string): string => {
  const above = pathOf(parent)
  return above === '' || name.startsWith('[') ? above + name : `${above}.${name}`
}

/** The value of the field before that a union or digest depends on. */
function numberOf(parent: FieldNode, name: string | undefined): number | undefined {
  const value = parent.children.find((child) => child.name === name)?.value
  return value === undefined ? undefined : Number(value)
}
