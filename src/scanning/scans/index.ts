export { newScan } from './new-scan.ts'
export { scanRoutes } from './routes.ts'
