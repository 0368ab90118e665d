import type { TestProject } from 'vitest/node'
import { type RunningSystem, startSystem } from './system.ts'

/** Starts the system before the first file and stops it after the last one; what it leaves behind is an error. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { system, stop } = await startSystem()
  project.provide('system', system)
  return stop
}

declare module 'vitest' {
  export interface ProvidedContext {
    system: RunningSystem
  }
}
