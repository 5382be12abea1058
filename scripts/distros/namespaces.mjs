// Namespaces in which mounts and processes end with what made them, however that ends.

/**
 * @param {string[]} command
 * @returns {[string, ...string[]]} what runs it with mounts and processes of its own. When the process that starts this dies,
 *   the kernel kills all of them
 */
export function inNamespaces(command) {
  return [
    .../** @type {[string, ...string[]]} */ (['setpriv', '--pdeathsig', 'KILL']),
    ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'],
    ...command,
  ]
}
