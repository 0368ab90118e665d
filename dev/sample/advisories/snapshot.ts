/** The instant that databases made of this snapshot say they were built at: ISO 8601, UTC. Changes only with the data. */
export const SNAPSHOT_BUILT_AT = '2026-11-20T06:00:00Z'
