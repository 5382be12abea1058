/** The headings under which help and manual page list the options. */
export const groups = {
  socket: 'Options of the socket interface:',
  chardev: 'Options of the character device interface:',
  cuse: 'Options of the CUSE interface:',
  connection: 'Connections and process:',
  state: 'State and keys:',
  behaviour: 'Behaviour of the TPM:',
  script: 'Faults and scripts:',
  diagnosis: 'Log and trace:',
  information: 'Information (print and exit):',
} as const
