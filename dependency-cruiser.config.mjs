// Which part of the program may import which: the layers, declared once. `npm test` checks them (scripts/test/checks.mjs).
//
// A file may import from its own room and from rooms of lower layers. Rooms of one layer do not import each other.

/** From the ground up. Each entry is a layer of rooms. */
export const LAYERS = [
  ['contract', 'src/system'],
  ['src/tpm-structures'],
  ['src/keeper', 'src/tpm-commands', 'src/ptm-client', 'src/engine-client', 'src/machine', 'src/recordings'],
  ['src/tpm', 'src/responders', 'src/programs/common'],
  ['src/behind', 'src/sysfs'],
  ['src/serve', 'src/programs/swtpm_cert'],
  ['src/cuse', 'src/vtpm-proxy', 'src/command-line'],
  ['src/library'],
  [
    'src/programs/swtpm',
    'src/programs/swtpm_ioctl',
    'src/programs/swtpm_bios',
    'src/programs/swtpm_setup',
    'src/programs/swtpm_localca',
  ],
]

/** @param {readonly string[]} rooms @returns {string} a pattern for the files in them */
const filesOf = (rooms) => `^(${rooms.join('|')})/`

/** A room and what is above it, or beside it. */
const rules = LAYERS.flatMap((layer, height) =>
  layer.map((room) => ({
    name: `${room}-imports-downward`,
    severity: 'error',
    comment: `Layer ${height + 1}: ${room} may import only from itself and from the layers below`,
    from: { path: filesOf([room]) },
    to: {
      path: filesOf([
        ...LAYERS.slice(height)
          .flat()
          .filter((other) => other !== room),
      ]),
    },
  })),
)

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...rules,
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'every-room-has-a-layer',
      severity: 'error',
      comment: 'A new room belongs into LAYERS',
      from: { path: '^(contract|src)/', pathNot: [filesOf(LAYERS.flat())] },
      to: {},
    },
    {
      name: 'programs-do-not-import-tests',
      severity: 'error',
      from: { path: '^(contract|src)/' },
      to: { path: '^(test|scripts|man|completions)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: ['.ts', '.mjs', '.js'] },
  },
}
