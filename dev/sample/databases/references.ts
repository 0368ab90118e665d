import type { Advisory } from '../advisories/advisory.ts'

/** Where a person can read about it: public addresses that follow from the ids. `first` names the id whose page leads the list. */
export function referencesOf(advisory: Advisory, first: string = advisory.id): string[] {
  const ids = [...new Set([first, advisory.id, ...advisory.aliases])]
  const trackers = [...new Set(advisory.affected.map(({ ecosystem }) => ecosystem))].flatMap((ecosystem) =>
    ecosystem === 'debian' || ecosystem === 'alpine' ? [trackerPage(ecosystem, advisory.id)] : [],
  )
  return [...ids.flatMap(pageOf), ...trackers]
}

/** The distribution's own page about a CVE. */
export function trackerPage(distribution: 'debian' | 'alpine', cve: string): string {
  return distribution === 'debian'
    ? `https://security-tracker.debian.org/tracker/${cve}`
    : `https://security.alpinelinux.org/vuln/${cve}`
}

function pageOf(id: string): string[] {
  if (id.startsWith('CVE-')) return [`https://nvd.nist.gov/vuln/detail/${id}`]
  if (id.startsWith('GHSA-')) return [`https://github.com/advisories/${id}`]
  if (id.startsWith('GO-')) return [`https://pkg.go.dev/vuln/${id}`]
  return id.startsWith('PYSEC-') ? [`https://osv.dev/vulnerability/${id}`] : []
}
