/** Loads a module. A file of its own in the end: what bundles the programs takes import() away. */
export const importModule = (url: string): Promise<Readonly<Record<string, unknown>>> => import(url)
