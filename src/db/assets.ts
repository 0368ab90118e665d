import type { Env } from '../env.ts'

/** A static file of the deployment (`public/`), by its path; 404 where there is none. */
export const staticFile = (env: Env, path: string): Promise<Response> =>
  env.ASSETS.fetch(new URL(path, 'https://assets.invalid'))
