/** The examples for authors of attestation software and TSS libraries. */
import { it } from 'node:test'
import { runExample } from '../support/example.ts'

it('examples/attestation.test.mjs passes', () => runExample('attestation.test.mjs'))
