export { newScan } from './new-scan.ts'
export { endScansOfRegistry } from './remove-registry.ts'
export { scanRoutes } from './routes.ts'
