/**
 * Whether anything happens in this process that comes from outside. Sockets and the keeper say so here; what lets the process
 * rest when nothing happens listens.
 */
let listener: () => void = () => {}

/** Something has come from outside. */
export const noteActivity = (): void => listener()

/** @param heard called each time; it replaces the one before */
export function onActivity(heard: () => void): void {
  listener = heard
}
