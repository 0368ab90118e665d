/** The twelve documented providers of registries. */
export const PROVIDER_NAMES = [
  'DOCKER_HUB',
  'GHCR',
  'AWS_ECR',
  'AZURE_ACR',
  'GOOGLE_GAR',
  'GITLAB',
  'HARBOR',
  'JFROG',
  'QUAY',
  'NEXUS',
  'DOCKER_REGISTRY',
  'CUSTOM',
] as const

export type ProviderName = (typeof PROVIDER_NAMES)[number]
