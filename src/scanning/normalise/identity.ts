import { distributionId } from './distribution.ts'
import { type Purl, parsePurl } from './purl.ts'

/** The part of a package's identity that its purl gives, in the one spelling that all engines are brought to. */
export interface Coordinates {
  type: string
  namespace: string | null
  name: string
  version: string
}

/** Types whose packages belong to a distribution: only they have distro, source and module. */
const OS_TYPES = new Set(['deb', 'apk', 'rpm'])
export const isOsType = (type: string): boolean => OS_TYPES.has(type)

/** What engines print where a version is not known. */
const NO_VERSION = new Set(['unknown', '(devel)', 'devel'])
const knownVersion = (version: string | null | undefined): string =>
  version && !NO_VERSION.has(version.trim().toLowerCase()) ? version.trim() : ''

/** `epoch:version`; epoch 0 is the same as none. */
export function withEpoch(version: string, epoch: string | number | null | undefined): string {
  const bare = version.replace(/^0:/, '')
  const number = Number(epoch ?? 0)
  return number > 0 && !/^\d+:/.test(bare) ? `${number}:${bare}` : bare
}

/** The whole module path, split at its last slash: syft before 1.20 put what follows the third segment into the subpath. */
function golang(parts: Coordinates, subpath: string | null): Coordinates {
  const path = [parts.namespace, parts.name, subpath].filter(Boolean).join('/').toLowerCase()
  const slash = path.lastIndexOf('/')
  const bare = parts.version.replace(/^(go|v)(?=\d)/, '')
  const version = path === 'stdlib' || !/^\d/.test(bare) ? bare : `v${bare}`
  return {
    type: 'golang',
    namespace: slash > 0 ? path.slice(0, slash) : null,
    name: path.slice(slash + 1),
    version,
  }
}

/** Brings names and versions to the spelling that the purl type demands, so that two engines' words compare equal. */
function canonical(
  parts: Coordinates,
  subpath: string | null = null,
  epoch?: string | number | null,
): Coordinates {
  const lower = (text: string | null) => text?.toLowerCase() ?? null
  const { type, namespace, name, version } = parts
  switch (type) {
    case 'golang':
      return golang(parts, subpath)
    case 'pypi': // PEP 503
      return { type, namespace: lower(namespace), name: name.toLowerCase().replace(/[-_.]+/g, '-'), version }
    case 'npm':
    case 'composer':
    case 'hex':
    case 'pub':
    case 'github':
    case 'bitbucket':
    case 'apk':
      return { type, namespace: lower(namespace), name: name.toLowerCase(), version: version }
    case 'deb':
      return {
        type,
        namespace: lower(namespace),
        name: name.toLowerCase(),
        version: withEpoch(version, epoch),
      }
    case 'rpm':
      return { type, namespace: rpmVendor(namespace), name, version: withEpoch(version, epoch) }
    default:
      return { type, namespace, name, version }
  }
}

/** syft names the vendor by os-release's ID (except redhat and opensuse), trivy by its family. */
function rpmVendor(namespace: string | null): string | null {
  if (!namespace) return null
  const id = distributionId(namespace)
  return id === 'rhel' ? 'redhat' : id.startsWith('opensuse') ? 'opensuse' : id
}

/** Types that write the namespace into the name, with the mark between them. */
const NAMESPACE_MARK = new Map([
  ['maven', ':'],
  ['npm', '/'],
  ['golang', '/'],
  ['composer', '/'],
])

/**
 * Identity from the engine's purl, else from the type, name and version it prints. A version that the purl
 * lacks is taken from the fields; "UNKNOWN" and "(devel)" are no version ('').
 */
export function coordinates(
  purlText: string | null | undefined,
  printed: { type: string; name: string; version: string | null | undefined; epoch?: number | null },
): { at: Coordinates; purl: Purl | null } {
  const purl = purlText ? parsePurl(purlText) : null
  if (purl) {
    const version = knownVersion(purl.version) || knownVersion(printed.version)
    const epoch = purl.qualifiers.get('epoch') ?? printed.epoch
    return { at: canonical({ ...purl, version }, purl.subpath, epoch), purl }
  }
  const mark = NAMESPACE_MARK.get(printed.type)
  const slash = mark ? printed.name.lastIndexOf(mark) : -1
  const parts = {
    type: printed.type,
    namespace: slash > 0 ? printed.name.slice(0, slash) : null,
    name: slash > 0 ? printed.name.slice(slash + 1) : printed.name,
    version: knownVersion(printed.version),
  }
  return { at: canonical(parts, null, printed.epoch), purl: null }
}
