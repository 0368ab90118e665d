/** Organization roles and their levels: a route that names a role admits every role of at least its level. */
export const ROLE_LEVELS = {
  viewer: 20,
  auditor: 40,
  ci: 50,
  developer: 60,
  admin: 80,
  owner: 100,
} as const

export type Role = keyof typeof ROLE_LEVELS

/** Roles that an API key may have: owners are people. */
export const KEY_ROLES = ['ci', 'viewer', 'developer', 'auditor', 'admin'] as const

export const admits = (minimum: Role, role: Role): boolean => ROLE_LEVELS[role] >= ROLE_LEVELS[minimum]
