import { expect, it } from 'vitest'
import { artifactNamed, fleetOf, fleetResult, repositoryOf, tagOf } from '../../bench/world.ts'

const BUILD = Date.UTC(2026, 0, 1)
const packagesOf = (image: number, artifact: number) =>
  new Set(fleetResult({ image, artifact }, BUILD).packages.map(({ name, version }) => `${name}@${version}`))
const shared = (a: Set<string>, b: Set<string>) => [...a].filter((each) => b.has(each)).length

it('is three artifacts an image with 300 packages and 300 findings each, whose references hold together', () => {
  const result = fleetResult({ image: 7, artifact: 2 }, BUILD)
  expect(packagesOf(7, 2).size).toBe(300)
  expect(new Set(result.findings.map((finding) => `${finding.package} ${finding.vulnerability}`)).size).toBe(
    300,
  )
  expect(new Set(result.vulnerabilities.map(({ id }) => id)).size).toBe(result.vulnerabilities.length)
  for (const finding of result.findings) {
    expect(finding.package).toBeLessThan(result.packages.length)
    expect(result.vulnerabilities[finding.vulnerability]!.id).toBe(finding.reportedId)
  }
})

it('shares packages as images do: nearly all from tag to tag, those of a base, and of neighbouring bases', () => {
  expect(shared(packagesOf(0, 0), packagesOf(0, 1))).toBe(295)
  expect(shared(packagesOf(0, 0), packagesOf(12, 0))).toBe(200 + 40)
  expect(shared(packagesOf(0, 0), packagesOf(1, 0))).toBe(160 + 80)
  expect(shared(packagesOf(0, 0), packagesOf(11, 0))).toBe(80)
})

it('finds an artifact by its repository and tag, each once', () => {
  const all = fleetOf(5, 30)
  expect(all).toHaveLength(75)
  expect(all.map((each) => artifactNamed(repositoryOf(each), tagOf(each)))).toEqual(all)
  const digests = all.map((each) => fleetResult(each, BUILD).image!.digest)
  expect(new Set(digests).size).toBe(75)
})
