import { line, makeNotes, type Notes } from '../normalise/index.ts'
import type { ResultSource } from '../results/index.ts'
import { type EngineName, FINDING_ENGINES, type ResultPackage } from '../sensors/result.ts'
import { UnlistedPackages } from './adopt-packages.ts'
import { ForeignCatalogue, type Wanted } from './catalogue.ts'
import { engineNamed, engineRuns } from './engine-runs.ts'
import { ForeignHead, type ForeignLists, ForeignNote } from './envelope.ts'
import { ForeignFindings } from './findings.ts'
import { bareDigest, type FoundImage, platformOf } from './found-image.ts'

/** A result that came in another format, as `Result` would have it. Its head says nothing of the image. */
export interface ConvertedResult {
  source: ResultSource
  image: FoundImage
  /** What the result names itself by: the job's id, or that of an upload without one. */
  id: string
  /** Packages that only its findings name. */
  unlisted: UnlistedPackages
}

const MAX_NOTES = 100 // lines of a scan's logs; a scan has at most 200
const NEVER = '1970-01-01T00:00:00Z'

/**
 * An envelope 1.0 as a result. `asked` are the job's engines, empty for an upload without one. Null where the
 * head is not one of this version. Reads the lists two or three times and holds neither.
 */
export async function convertEnvelope(
  given: unknown,
  lists: ForeignLists,
  asked: readonly string[],
): Promise<ConvertedResult | null> {
  const { data: head } = ForeignHead.safeParse(given)
  if (!head) return null
  const notes = makeNotes()
  const findings = await ForeignFindings.of(lists.vulnerabilities, notes)
  const catalogue = await ForeignCatalogue.of(lists.packages, findings.wanted, notes)
  const made = findings.madePackages(catalogue.listed)
  const remarks = remarksOf(head, notes)
  const recorded = new Set<EngineName>([...findings.engines, ...catalogue.listers, ...remarks.engines])
  const status = head.scan?.status ?? null
  const versions = head.sensor?.scannerVersions ?? {}
  const id = head.scan?.id ?? ''
  return {
    id,
    unlisted: new UnlistedPackages(made),
    image: {
      digest: bareDigest(head.image?.digest),
      indexDigest: null,
      platform: platformOf(head.image?.platform),
    },
    source: {
      head: {
        version: '1.1',
        fence: 1,
        sensor: { name: null, version: line(head.sensor?.version, 64, 'sensor', notes), scannerVersions: {} },
        image: null,
        scan: {
          id: id.slice(0, 200),
          startedAt: NEVER,
          finishedAt: NEVER,
          status: status === 'CANCELLED' || status === 'FAILED' ? 'FAILED' : (status ?? 'PARTIAL'),
          reason: null,
        },
        engines: engineRuns({ status, asked, versions, recorded }),
        sboms: [],
        logs: [...remarks.lines, ...notes.lines()].slice(0, 200),
      },
      counts: {
        packages: catalogue.listed + made.length,
        vulnerabilities: findings.advisories.size,
        findings: findings.count,
      },
      bytes: lists.bytes,
      packages: packagesOf(catalogue, made, lists.packages.slices),
      vulnerabilities: (wanted) => findings.vulnerabilities(wanted),
      findings: (wanted) => findings.findings(wanted),
    },
  }
}

const MADE_A_SLICE = 1000

/** The listed packages in the slices of their list, then those that were made. */
const packagesOf = (catalogue: ForeignCatalogue, made: readonly Wanted[], slices: number) =>
  async function* (wanted: (slice: number) => boolean = () => true) {
    yield* catalogue.packages(wanted)
    for (let at = 0; at < made.length; at += MADE_A_SLICE) {
      if (wanted(slices + at / MADE_A_SLICE)) yield made.slice(at, at + MADE_A_SLICE).map(madePackage)
    }
  }

const UNTYPED = { type: 'generic', namespace: null, distro: null, source: null, module: null, owner: null }

/** A package that only a finding names: as the artifact knows it, else of no type. */
const madePackage = ({ name, version, engines, known }: Wanted): ResultPackage => ({
  ...(known ?? { ...UNTYPED, name, version }),
  ...{ licenses: [], locations: [] },
  listedBy: FINDING_ENGINES.filter((_, at) => engines & (1 << at)),
})

/**
 * Compliance (dockle), efficiency (dive) and what the sensor logged, as lines of the scan's log: nothing else shows
 * them yet, and the envelope itself stays stored with the scan.
 */
function remarksOf(head: ForeignHead, notes: Notes): { lines: string[]; engines: EngineName[] } {
  const engines = new Set<EngineName>()
  const lines: string[] = []
  for (const given of [...(head.findings?.compliance ?? []), ...(head.findings?.efficiency ?? [])]) {
    const { data: note } = ForeignNote.safeParse(given)
    const engine = engineNamed(note?.source)
    if (!note || !engine) continue
    engines.add(engine)
    const parts = [engine, note.severity, note.ruleId ?? note.findingType, note.ruleName ?? note.title]
    lines.push([...parts, note.message ?? note.details].filter(Boolean).join(' '))
  }
  for (const given of head.logs ?? []) if (typeof given === 'string') lines.push(given)
  if (lines.length > MAX_NOTES) notes.count(`lines beyond ${MAX_NOTES} left out`, lines.length - MAX_NOTES)
  const kept = lines.slice(0, MAX_NOTES).map((text) => line(text, 500, 'line', notes))
  return { lines: kept.filter(Boolean), engines: [...engines] }
}
