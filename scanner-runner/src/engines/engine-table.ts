import type { DatabaseSource } from '../databases/database-source.ts'
import type { EngineDriver, RunnerEngine } from './engine.ts'
import { grype } from './grype.ts'
import { syft } from './syft.ts'
import { trivy } from './trivy.ts'

/** Every engine that this runner can drive. dockle, osv and dive are not offered. */
export const engineTable = (databases: DatabaseSource): Record<RunnerEngine, EngineDriver> => ({
  trivy: trivy(databases),
  grype: grype(databases),
  syft,
})
