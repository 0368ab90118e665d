export { type ReadList, type ResultHead, type ResultSource, resultInMemory } from './result-source.ts'
export { type OpenBytes, openResult } from './stored-result.ts'
