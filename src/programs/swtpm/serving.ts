/** What comes before and after everything that swtpm serves, one TPM or many: the terminal, the log, and what waits for it. */
import type { Spawner } from '../../engine-client/channel/spawner.ts'
import { startSpawner } from '../../serve/engine-options.ts'
import { runAsUser } from '../../serve/session.ts'
import { log } from '../../system/log.ts'
import { enterBackground, reportReady } from '../../system/process/daemon.ts'
import { type InheritedDescriptor, ReadyDescriptor } from '../../system/process/ready-descriptor.ts'
import { connectServiceManager, type ServiceManager } from '../../system/process/service-manager.ts'
import type { User } from '../../system/process/users.ts'
import { type Logging, openLog } from './exit/report-failure.ts'

interface ServingConfig extends Logging {
  readonly daemonize: boolean
  readonly readyFd: InheritedDescriptor | undefined
  readonly runAs: string | undefined
  readonly freshEngines?: boolean
}

export class Serving {
  /** Whom --runas names. */
  readonly user: User | undefined
  /** What starts engines; {@link end} closes it. */
  readonly spawner: Spawner
  readonly #serviceManager: ServiceManager
  readonly #readyDescriptor: ReadyDescriptor

  private constructor(config: ServingConfig, readyDescriptor: ReadyDescriptor) {
    this.#readyDescriptor = readyDescriptor
    this.user = runAsUser(config)
    openLog(config)
    // Both are outside the new root: the service manager's socket, and the engine's program, which starts as the user it
    // will be.
    this.#serviceManager = connectServiceManager(process.env)
    this.spawner = startSpawner(config, this.user)
  }

  /** @returns the exit code in the process that the user started, when another serves in the background @throws SwtpmError */
  static async begin(config: ServingConfig): Promise<Serving | number> {
    const readyDescriptor = new ReadyDescriptor(config.readyFd)
    if (config.daemonize) {
      const code = await enterBackground(config, () => readyDescriptor.close())
      if (code !== undefined) return code
    }
    return new Serving(config, readyDescriptor)
  }

  /** Clients are served from now on: tells all that wait for it. */
  ready(): void {
    reportReady()
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

  /** No engine is started any more. */
  end(): void {
    this.spawner.close()
  }
}
