/** trivy's family names where they differ from the ID of os-release, which syft and grype use. */
const OS_RELEASE_ID = new Map([
  ['redhat', 'rhel'],
  ['alma', 'almalinux'],
  ['amazon', 'amzn'],
  ['amazonlinux', 'amzn'],
  ['oracle', 'ol'],
  ['oraclelinux', 'ol'],
  ['suse linux enterprise server', 'sles'],
  ['suse linux enterprise micro', 'slem'],
  ['opensuse.leap', 'opensuse-leap'],
  ['opensuse.tumbleweed', 'opensuse-tumbleweed'],
  ['cbl-mariner', 'mariner'],
])

/** Distributions whose minor release shares the advisories of its major one. */
const MAJOR_ONLY = new Set([
  'debian',
  'raspbian',
  'rhel',
  'centos',
  'rocky',
  'almalinux',
  'ol',
  'amzn',
  'fedora',
])

/** The ID of os-release for a distribution as any engine names it. '' when there is none. */
export function distributionId(name: string): string {
  const id = name.trim().toLowerCase()
  return OS_RELEASE_ID.get(id) ?? id
}

/**
 * Distribution with release, the same from every engine: "debian-12" (12, 12.5), "alpine-3.19" (3.19.0),
 * "rhel-8" (redhat 8.4), "amzn-2" ("2 (Karoo)"), "debian-trixie" ("trixie/sid"). Without release the id alone.
 */
export function distribution(name: string, release: string): string | null {
  const id = distributionId(name)
  if (!id) return null
  const [major = '', minor] = /^\d+(?:\.\d+)?/.exec(release.trim())?.[0].split('.') ?? []
  const codename = /^[^\s/]*/.exec(release.trim().toLowerCase())?.[0] ?? ''
  const short = major ? (minor === undefined || MAJOR_ONLY.has(id) ? major : `${major}.${minor}`) : codename
  return short ? `${id}-${short}` : id
}
