import { randomInt } from 'node:crypto'
import { freePort } from '../../dev/local/ports.ts'

const [FIRST, LAST] = [20_000, 30_000] // below the ports that systems hand out by themselves

/** A free port on loopback that nothing else is likely to take next, also while other runs of the tests look for theirs. */
export const aFreePort = (): Promise<number> => freePort(randomInt(FIRST, LAST))
