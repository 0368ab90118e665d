export { runnerRoutes } from './routes.ts'
