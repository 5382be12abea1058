/** Time: waiting for it, and a bound for something that another process has to do. */

/** Unlike that of node:timers/promises, at no cost for a start. */
export const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

/** @returns what `work` gives, or `late` when it takes longer. `work` continues; what it throws afterwards is ignored. */
export function within<T, L>(limitMs: number, work: Promise<T>, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout
  const limit = new Promise<L>((resolve) => {
    timer = setTimeout(() => resolve(late), limitMs)
  })
  return Promise.race([work, limit]).finally(() => clearTimeout(timer))
}
