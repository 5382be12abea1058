/** The examples for authors of drivers, on a real kernel. */
import { it } from 'node:test'
import { runExample } from '../support/example.ts'

it('examples/driver.test.mjs passes', () => runExample('driver.test.mjs'))
