/** Who stated a fact. `nvd` states scores only; the others also state affected packages. */
export type AdvisorySource = 'ghsa' | 'pypa' | 'govulndb' | 'nodejs-wg' | 'debian' | 'alpine' | 'nvd'

export type Ecosystem = 'npm' | 'pypi' | 'go' | 'maven' | 'debian' | 'alpine'

export type Severity = 'UNKNOWN' | 'NEGLIGIBLE' | 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL'

/** A base score computed from its vector; `version` is `2.0`, `3.0`, `3.1` or `4.0`. */
export interface CvssScore {
  version: string
  vector: string
  score: number
}

/** What one source says about how bad it is. `UNKNOWN` where it gives neither a label nor a vector. */
export interface Rating {
  source: AdvisorySource
  severity: Severity
  cvss: CvssScore[]
}

/** Versions from `introduced` (null: from the first) up to, without, `fixed` or up to, with, `lastAffected`; no end: all later ones. */
export interface Interval {
  introduced: string | null
  fixed: string | null
  lastAffected: string | null
}

/** One package that one source calls affected. Names are canonical for their ecosystem; for distributions the source package. */
export interface Affected {
  source: AdvisorySource
  advisoryId: string
  /** The GHSA id among the record's own names, if it has one. */
  ghsaId: string | null
  ecosystem: Ecosystem
  /** The distribution's release (`12`, `3.19`); null for language ecosystems. */
  release: string | null
  packageName: string
  intervals: Interval[]
  /** Exact versions, where the source lists them instead of ranges. */
  versions: string[]
  severity: Severity
}

export interface KnownExploited {
  vendor: string
  product: string
  added: string
  due: string
  action: string
  ransomware: string
  cwes: string[]
}

/** Everything the snapshot knows about one vulnerability, joined over its files. `id` is the CVE where there is one. */
export interface Advisory {
  id: string
  aliases: string[]
  cwes: string[]
  /** ISO 8601, or null where no source says. */
  published: string | null
  modified: string | null
  ratings: Rating[]
  affected: Affected[]
  knownExploited: KnownExploited | null
}
