/** What comes before and after everything that swtpm serves, one TPM or many: the terminal, the log, and what waits for it. */
import type { SeccompAction } from '../../../contract/engine-options.ts'
import { KEEPER_CONFINE } from '../../../contract/keeper.ts'
import { type Logging, openLog } from '../../command-line/exit/report-failure.ts'
import { Keeper } from '../../keeper/keeper.ts'
import { connectServiceManager, type ServiceManager } from '../../keeper/service-manager.ts'
import { runAsUser } from '../../serve/session.ts'
import { SwtpmError } from '../../system/errors.ts'
import { log } from '../../system/log.ts'
import { prepareToLeaveTerminal } from '../../system/process/daemon.ts'
import { namedDescriptors } from '../../system/process/inherited-descriptors.ts'
import { type InheritedDescriptor, ReadyDescriptor } from '../../system/process/ready-descriptor.ts'
import type { User } from '../../system/process/users.ts'
import { describeErrno } from '../../system/reason.ts'

interface ServingConfig extends Logging {
  readonly daemonize: boolean
  readonly readyFd: InheritedDescriptor | undefined
  readonly runAs: string | undefined
  readonly seccomp: SeccompAction
}

export class Serving {
  /** Whom --runas names. */
  readonly user: User | undefined
  readonly keeper: Keeper
  readonly #seccomp: SeccompAction
  readonly #serviceManager: ServiceManager
  readonly #readyDescriptor: ReadyDescriptor
  readonly #leaveTerminal: (() => void) | undefined

  private constructor(config: ServingConfig, keeper: Keeper, readyDescriptor: ReadyDescriptor) {
    this.keeper = keeper
    this.#seccomp = config.seccomp
    this.#readyDescriptor = readyDescriptor
    this.#leaveTerminal = config.daemonize ? prepareToLeaveTerminal() : undefined
    this.user = runAsUser(config)
    openLog(config)
    // The service manager's socket is outside a new root.
    this.#serviceManager = connectServiceManager(keeper, process.env)
  }

  /** @throws SwtpmError */
  static begin(config: ServingConfig): Serving {
    const readyDescriptor = new ReadyDescriptor(config.readyFd)
    const keeper = Keeper.connect()
    if (keeper === undefined)
      throw new SwtpmError(
        'SWTPM_ERR_INSTALLATION',
        'Cannot serve a TPM: this program must be started by the program `swtpm`',
      )
    keeper.serve(config.daemonize, namedDescriptors(config))
    return new Serving(config, keeper, readyDescriptor)
  }

  /** The keeper becomes the user of --runas, as this process has. */
  keeperBecomesUser(): void {
    this.#confineKeeper(KEEPER_CONFINE.becomeUser)
  }

  /** The keeper gives up what this process has given up. @param rests this process may end and be started again */
  confineKeeper(rests: boolean): void {
    const { neverRests, seccompKill, seccompLog } = KEEPER_CONFINE
    const seccomp = { none: 0, log: seccompLog, kill: seccompKill }[this.#seccomp]
    this.#confineKeeper(seccomp | (rests ? 0 : neverRests))
  }

  #confineKeeper(flags: number): void {
    const { value } = this.keeper.ask('CONFINE', flags)
    if (value < 0)
      throw new SwtpmError('SWTPM_ERR_PRIVILEGE', `Cannot confine the keeper: ${describeErrno(value).text}`)
  }

  /** Clients are served from now on: tells all that wait for it. */
  ready(): void {
    this.#leaveTerminal?.()
    this.keeper.ask('READY')
    log.startSucceeded()
    this.#serviceManager.ready()
    this.#readyDescriptor.ready()
  }

  /** The start has failed: the ready descriptor is closed without its line. */
  failed(): void {
    this.#readyDescriptor.close()
  }

  /** Clients are no longer served. */
  stopping(): void {
    this.#serviceManager.stopping()
  }
}
