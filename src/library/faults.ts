/** `import … from 'swtpm/faults'`: each word of the language of rules as a function. */
export * from './effects.ts'
