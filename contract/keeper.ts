/**
 * What Node and its keeper say to each other (native/keeper), over one Unix SOCK_SEQPACKET connection: a message is a whole
 * packet in host byte order, u32 code, then u32 value, then the bytes that its row names, with descriptors beside them.
 *
 * Node asks and waits for the answer, a REPLY whose value is a result or a negative errno. The keeper says events unasked.
 * @see docs/design/0007-sleeping-supervisor.md
 */

/**
 * In Node's environment: the number of the connection's descriptor; followed by a blank and `wake` where another Node was at
 * work before.
 */
export const KEEPER_FD_VARIABLE = 'SWTPM_KEEPER_FD'

export const KEEPER_REQUESTS = {
  /**
   * The command line asks for a TPM, once. Value 1: in the background. Bytes: u32 each, the descriptors that were handed in and are
   * Node's alone from now on. The answer is the number of the process that lasts.
   */
  SERVE: 1,
  /** The TPM can be used: in the background, the first process ends and the terminal is let go. */
  READY: 2,
  /**
   * How engines are started, once and before CONFINE. Bytes: the arguments, each followed by a NUL. Descriptors: the state, the shared state, and
   * the log, where what engines say on their standard error goes, if there is a third one.
   */
  ENGINE: 3,
  /** The user that engines run as, and that CONFINE changes to; once and before CONFINE. Value: uid. Bytes: u32 gid, then u32 each of all groups. */
  USER: 4,
  /** Start an engine. Descriptor: its end of the engine channel. The answer is its process number. */
  SPAWN: 5,
  /** SIGKILL to the engine whose process number the value is. */
  KILL: 6,
  /**
   * Take the POSIX lock on a descriptor, which the keeper keeps then; without one, on the state. The answer has the process
   * number of the holder as bytes, u32, where there is one (result -EAGAIN).
   */
  LOCK: 7,
  /** Let the lock go. */
  UNLOCK: 8,
  /** Give up what is not needed any more. Value: see KEEPER_CONFINE. */
  CONFINE: 9,
  /**
   * Nothing is to be decided: Node ends now, and is started again when one of the first descriptors has something to say.
   * Value: see KEEPER_REST. Bytes: u32 number of events that Node has seen, u32 number of descriptors to watch, u32 length of
   * the paths, the paths (each followed by a NUL), and what the next Node is told. -EAGAIN: there is news, Node has to stay.
   */
  REST: 10,
  /** The next Node has everything: the keeper closes what it has kept for it. */
  RESUMED: 11,
  /** A message for the service manager, as bytes. Descriptor: the connection to it, with the first one. @see sd_notify(3) */
  NOTIFY: 12,
} as const

export const KEEPER_EVENTS = {
  /** The answer to a request. */
  REPLY: 32,
  /** The value is the number of a signal that the keeper was sent. */
  SIGNAL: 33,
  /** The engine whose process number the value is has ended. Bytes: u32 exit status, u32 signal or 0. */
  ENGINE_ENDED: 34,
  /**
   * First of all to a Node that follows another one: the bytes and the descriptors of its REST, then the state, the shared state
   * if REST asked for it, and the log of ENGINE, if there is one. The events since REST follow.
   */
  WAKE: 35,
} as const

export const KEEPER_CONFINE = {
  /** Change to the user of USER. */
  becomeUser: 1,
  /** Forbid system calls; a forbidden one is logged. */
  seccompLog: 2,
  /** Forbid system calls; a forbidden one ends the process. */
  seccompKill: 4,
  /** This Node stays: it has another root directory, or writes down what passes. REST is refused from now on. */
  neverRests: 8,
} as const

export const KEEPER_REST = {
  /** The first descriptor is a client's connection. */
  client: 1,
  /** The TPM is to end when that client does. */
  endWithClient: 2,
  /** The next Node needs the shared state, for a CUSE device whose engine has died. */
  sharedState: 4,
} as const

/** The most bytes in a message. */
export const MAX_KEEPER_MESSAGE_BYTES = 8192
/** The most descriptors with a message. */
export const MAX_KEEPER_FDS = 12
