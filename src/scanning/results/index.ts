export { type ReadList, type ResultHead, type ResultSource, resultInMemory } from './result-source.ts'
