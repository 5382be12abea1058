/** A shell without anyone's start-up files: what they do in a blink can take long on an emulated processor. */
export const INTERACTIVE_SHELL = ['env', String.raw`PS1=\u@\h:\w\$ `, 'bash', '--norc', '-i']
