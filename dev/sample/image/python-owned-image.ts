import { createHash } from 'node:crypto'
import { OciLayout } from './oci-layout.ts'
import { type DebianPackage, debianFiles, pythonDistribution } from './package-files.ts'
import type { TarFile } from './tar.ts'
import { fileLayer, IMAGE_CREATED, type WrittenImage } from './written-image.ts'

const DIST_PACKAGES = 'usr/lib/python3/dist-packages'
const SITE_PACKAGES = 'usr/local/lib/python3.11/site-packages'

/** Python projects that a Debian package owns. Their Python versions have advisories, which both engines leave to Debian. */
const OWNED = [
  {
    debian: 'python3-jinja2',
    source: 'jinja2',
    version: '3.1.2-1',
    project: 'Jinja2',
    projectVersion: '3.1.2',
  },
  { debian: 'python3-yaml', source: 'pyyaml', version: '6.0-3+b2', project: 'PyYAML', projectVersion: '6.0' },
] as const

/** The same projects by pip, in other versions, and one by pip alone. */
const BY_PIP = { Jinja2: '3.0.3', PyYAML: '5.3.1', requests: '2.25.0' } as const

/** Debian 12 where dpkg owns two Python projects that pip has installed beside it in other versions. linux/amd64. */
export function writePythonOwnedImage(layoutDir: string, tag = '1.0'): WrittenImage {
  const layout = new OciLayout(layoutDir)
  const packages: DebianPackage[] = [
    { name: 'libc6', version: '2.36-9+deb12u4', source: 'glibc' },
    { name: 'libexpat1', version: '2.5.0-1', source: 'expat' },
    ...OWNED.map(({ debian, source, version }) => ({ name: debian, version, source, section: 'python' })),
  ]
  const layers = [
    fileLayer(layout, 'ADD debian base and python / # buildkit', [
      ...debianFiles('amd64', packages),
      ...OWNED.flatMap(ownedFiles),
    ]),
    fileLayer(
      layout,
      'RUN pip install pyyaml jinja2 requests # buildkit',
      Object.entries(BY_PIP).flatMap(([name, version]) => pythonDistribution(SITE_PACKAGES, name, version)),
    ),
  ]
  const platform = { os: 'linux', architecture: 'amd64' } as const
  const manifest = layout.manifest(platform, { created: IMAGE_CREATED }, layers)
  layout.finish(manifest, tag)
  return { layoutDir, tag, digest: manifest.digest, platforms: ['linux/amd64'] }
}

/** The project's files and dpkg's record of owning them: scanners learn ownership from `md5sums`, not from `list`. */
function ownedFiles({ debian, project, projectVersion }: (typeof OWNED)[number]): TarFile[] {
  const files = pythonDistribution(DIST_PACKAGES, project, projectVersion, 'debian')
  const sums = files.map(
    ({ path, content }) => `${createHash('md5').update(content).digest('hex')}  ${path}\n`,
  )
  const list = files.map(({ path }) => `/${path}\n`)
  return [
    ...files,
    { path: `var/lib/dpkg/info/${debian}.list`, content: list.join('') },
    { path: `var/lib/dpkg/info/${debian}.md5sums`, content: sums.join('') },
  ]
}
