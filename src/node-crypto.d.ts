/** The part of Node's crypto that the Worker uses; `nodejs_compat` gives it. */
declare module 'node:crypto' {
  export function createHash(algorithm: 'sha256'): { update(text: string): { digest(): Uint8Array } }
}
