export { insertCredential, mintCredential } from './mint.ts'
export { presentApiKey } from './present.ts'
export { apiKeyRoutes } from './routes.ts'
export { CreatedApiKey } from './schemas.ts'
