const HIDDEN = '[redacted]'
const MIN_SECRET_LENGTH = 4 // shorter ones would blacken ordinary words

// Shapes that are secret whatever their value: keys of this product, Authorization values, compact JWE/JWT, URL userinfo.
const SHAPES: readonly [RegExp, string][] = [
  [/\bhg_[a-z]+_[A-Za-z0-9]{8,}/g, HIDDEN],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{6,}/gi, `$1 ${HIDDEN}`],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]*/g, HIDDEN],
  [/(:\/\/)[^\s/@]+@/g, `$1${HIDDEN}@`],
  [/([?&](?:token|access_token|password|signature|sig|x-amz-[a-z-]+)=)[^&\s"]+/gi, `$1${HIDDEN}`],
]

export interface Redactor {
  /** Hides this value, and its URL-encoded and base64 forms, from now on. */
  add(secret: string): void
  remove(secret: string): void
  redact(text: string): string
}

const formsOf = (secret: string): string[] => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('base64'),
  JSON.stringify(secret).slice(1, -1),
]

/** Removes every known secret value and everything that looks like one from a text. */
export function createRedactor(): Redactor {
  const counts = new Map<string, number>()
  return {
    add(secret) {
      if (secret.length >= MIN_SECRET_LENGTH) counts.set(secret, (counts.get(secret) ?? 0) + 1)
    },
    remove(secret) {
      const left = (counts.get(secret) ?? 0) - 1
      if (left > 0) counts.set(secret, left)
      else counts.delete(secret)
    },
    redact(text) {
      let clean = text
      for (const secret of counts.keys())
        for (const form of formsOf(secret)) if (clean.includes(form)) clean = clean.replaceAll(form, HIDDEN)
      for (const [shape, replacement] of SHAPES) clean = clean.replace(shape, replacement)
      return clean
    },
  }
}
