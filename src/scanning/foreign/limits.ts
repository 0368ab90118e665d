/** Of a legacy body: its reports are parsed as a whole. */
export const MAX_LEGACY_BYTES = 20 * 1024 * 1024
