export { matchNamed } from './named.ts'
export { vulnerabilityRoutes } from './routes.ts'
