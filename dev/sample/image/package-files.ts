import type { TarFile } from './tar.ts'
import { zipArchive } from './zip.ts'

export interface DebianPackage {
  name: string
  version: string
  /** The source package, with its version in brackets where that differs; absent where it is the package's own name. */
  source?: string
  section?: string
}

const DEBIAN_OS_RELEASE = [
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
  'NAME="Debian GNU/Linux"',
  'VERSION_ID="12"',
  'VERSION="12 (bookworm)"',
  'VERSION_CODENAME=bookworm',
  'ID=debian',
  '',
].join('\n')

/** What tells a scanner that this is Debian 12 and which packages it has. Without `debian_version` Trivy finds none of them. */
export function debianFiles(architecture: string, packages: readonly DebianPackage[]): TarFile[] {
  return [
    { path: 'etc/debian_version', content: '12.5\n' },
    { path: 'etc/os-release', content: DEBIAN_OS_RELEASE },
    { path: 'usr/lib/os-release', content: DEBIAN_OS_RELEASE },
    {
      path: 'var/lib/dpkg/status',
      content: packages.map((entry) => dpkgStatus(architecture, entry)).join('\n'),
    },
  ]
}

function dpkgStatus(
  architecture: string,
  { name, version, source, section = 'libs' }: DebianPackage,
): string {
  const lines = [
    `Package: ${name}`,
    'Status: install ok installed',
    'Priority: optional',
    `Section: ${section}`,
    'Installed-Size: 100',
    'Maintainer: Sample <sample@example.invalid>',
    `Architecture: ${architecture}`,
    ...(source ? [`Source: ${source}`] : []),
    `Version: ${version}`,
    `Description: ${name} (sample entry)`,
  ]
  return `${lines.join('\n')}\n`
}

/** An installed npm package: its `package.json` below `node_modules`. */
export function npmPackage(directory: string, name: string, version: string): TarFile {
  const manifest = { name, version, license: 'MIT' }
  return {
    path: `${directory}/node_modules/${name}/package.json`,
    content: `${JSON.stringify(manifest, null, 2)}\n`,
  }
}

/** An installed Python distribution: its `dist-info` below the given site or dist directory. */
export function pythonDistribution(
  directory: string,
  name: string,
  version: string,
  installer = 'pip',
): TarFile[] {
  const info = `${name}-${version}.dist-info`
  const metadata = `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\nLicense: MIT\n`
  return [
    { path: `${directory}/${info}/METADATA`, content: metadata },
    { path: `${directory}/${info}/RECORD`, content: `${info}/METADATA,,\n${info}/INSTALLER,,\n` },
    { path: `${directory}/${info}/INSTALLER`, content: `${installer}\n` },
  ]
}

/** A jar that names itself by Maven's `pom.properties`, as Maven's builds do. */
export function mavenJar(directory: string, group: string, artifact: string, version: string): TarFile {
  const manifest = [
    'Manifest-Version: 1.0',
    `Implementation-Title: ${artifact}`,
    `Implementation-Version: ${version}`,
    `Implementation-Vendor-Id: ${group}`,
    '\r\n',
  ].join('\r\n')
  const properties = `version=${version}\ngroupId=${group}\nartifactId=${artifact}\n`
  return {
    path: `${directory}/${artifact}-${version}.jar`,
    content: zipArchive([
      { path: 'META-INF/MANIFEST.MF', content: manifest },
      { path: `META-INF/maven/${group}/${artifact}/pom.properties`, content: properties },
    ]),
  }
}
