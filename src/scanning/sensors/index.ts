export { sensorRoutes } from './manage/routes.ts'
export { agentRoutes } from './routes.ts'
