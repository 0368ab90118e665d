import type { Result } from '../../src/scanning/sensors/result.ts'
import { aResult } from '../risk/results.ts'

/**
 * The organization that is measured, as real ones are: an image has three artifacts behind three tags; of an
 * artifact's 300 packages 200 come with one of 12 base images, 80 with one of 12 stacks of frameworks, 20 are the
 * image's own. Neighbouring bases share 160 packages and neighbouring stacks 40, for they are releases of the same
 * things; from tag to tag 5 of the own ones change. Every package version has one vulnerability.
 */
export const ARTIFACTS_OF_IMAGE = 3
export const FINDINGS_OF_ARTIFACT = 300

const BASES = 12
const BASE = { packages: 200, step: 40 }
const STACKS = 12
const STACK = { packages: 80, step: 40, first: 10_000 }
const OWN = { packages: 20, step: 5, first: 100_000, ofImage: 100 }
const IMAGE_DIGITS = 8

/** One artifact of the fleet: the image's number and the artifact's place in it, 0 … 2. */
export interface FleetArtifact {
  image: number
  artifact: number
}

/** The artifacts of images `from` to below `to`, the first artifact of each image before the second of any. */
export const fleetOf = (from: number, to: number): FleetArtifact[] =>
  Array.from({ length: ARTIFACTS_OF_IMAGE }, (_, artifact) =>
    Array.from({ length: to - from }, (_, index) => ({ image: from + index, artifact })),
  ).flat()

export const repositoryOf = ({ image }: FleetArtifact): string => `team${image % 7}/app-${image}`
export const tagOf = ({ artifact }: FleetArtifact): string => `1.${artifact}`

/** The artifact that a repository and a tag name. */
export const artifactNamed = (repository: string, tag: string): FleetArtifact => ({
  image: Number(repository.split('-')[1]),
  artifact: Number(tag.split('.')[1]),
})

/** What engines with databases of this build say about an artifact of the fleet. */
export function fleetResult({ image, artifact }: FleetArtifact, build: number): Result {
  const parts = [
    { from: (image % BASES) * BASE.step, packages: BASE.packages },
    { from: STACK.first + (Math.floor(image / BASES) % STACKS) * STACK.step, packages: STACK.packages },
    { from: OWN.first + image * OWN.ofImage + artifact * OWN.step, packages: OWN.packages },
  ]
  const digest = digestOf(1, image * 10 + artifact)
  return together(parts.map((part) => aResult({ ...part, findings: part.packages, build, digest })))
}

/** One result of several about the same artifact. */
export function together(results: readonly Result[]): Result {
  const [first] = results
  const all: Result = { ...first!, packages: [], vulnerabilities: [], findings: [] }
  const known = new Map<string, number>()
  for (const result of results) {
    const offset = all.packages.length
    all.packages.push(...result.packages)
    const moved = result.vulnerabilities.map((text) => {
      const at = known.get(text.id) ?? all.vulnerabilities.push(text) - 1
      known.set(text.id, at)
      return at
    })
    for (const finding of result.findings)
      all.findings.push({
        ...finding,
        package: finding.package + offset,
        vulnerability: moved[finding.vulnerability]!,
      })
  }
  return all
}

/** A digest for each pair of numbers. */
export const digestOf = (kind: number, number: number): string =>
  `sha256:${kind.toString(16).padStart(IMAGE_DIGITS, '0')}${number.toString(16).padStart(64 - IMAGE_DIGITS, '0')}`
