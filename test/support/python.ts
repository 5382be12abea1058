/**
 * The python3 that the set-up installs, for what Node cannot do. Named by its path: the first of that name in PATH may be a script
 * that first looks for another one, which takes a second.
 */
export const PYTHON = '/usr/bin/python3'
