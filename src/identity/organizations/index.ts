export { organizationRoutes } from './routes.ts'
