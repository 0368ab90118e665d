import { goBinary } from './go-binary.ts'
import { type Descriptor, OciLayout, type Platform } from './oci-layout.ts'
import { type DebianPackage, debianFiles, mavenJar, npmPackage, pythonDistribution } from './package-files.ts'
import { fileLayer, IMAGE_CREATED, type WrittenImage } from './written-image.ts'

const PLATFORMS: readonly Platform[] = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
]

const DEBIAN: readonly DebianPackage[] = [
  { name: 'apt', version: '2.6.1', section: 'admin' },
  { name: 'base-files', version: '12.4+deb12u5', section: 'admin' },
  { name: 'bash', version: '5.2.15-2+b2', source: 'bash (5.2.15-2)', section: 'shells' },
  { name: 'bsdutils', version: '1:2.38.1-5+b1', source: 'util-linux (2.38.1-5)', section: 'utils' },
  { name: 'coreutils', version: '9.1-1', section: 'utils' },
  { name: 'curl', version: '7.88.1-10+deb12u8', section: 'web' },
  { name: 'libc-bin', version: '2.36-9+deb12u1', source: 'glibc', section: 'utils' },
  { name: 'libc6', version: '2.36-9+deb12u1', source: 'glibc' },
  { name: 'libcurl4', version: '7.88.1-10+deb12u8', source: 'curl' },
  { name: 'libexpat1', version: '2.5.0-1', source: 'expat' },
  { name: 'libssl3', version: '3.0.15-1~deb12u1', source: 'openssl' },
  { name: 'openssl', version: '3.0.15-1~deb12u1', section: 'utils' },
  { name: 'tar', version: '1.34+dfsg-1.2+deb12u1', section: 'utils' },
  { name: 'util-linux', version: '2.38.1-5+b1', source: 'util-linux (2.38.1-5)', section: 'utils' },
  { name: 'zlib1g', version: '1:1.2.13.dfsg-1', source: 'zlib' },
]

const NPM = {
  axios: '0.21.1',
  express: '4.17.1',
  jsonwebtoken: '8.5.1',
  lodash: '4.17.15',
  minimist: '1.2.5',
  'node-fetch': '2.6.0',
  'path-to-regexp': '0.1.7',
  qs: '6.7.0',
  semver: '5.7.1',
  tar: '4.4.13',
  ws: '7.4.5',
} as const

const PYTHON = {
  certifi: '2022.9.24',
  cryptography: '41.0.0',
  Django: '3.2.15',
  Flask: '2.2.2',
  Jinja2: '3.1.2',
  PyYAML: '5.3.1',
  requests: '2.25.0',
  urllib3: '1.26.4',
  Werkzeug: '2.2.2',
} as const

const MAVEN: readonly (readonly [group: string, artifact: string, version: string])[] = [
  ['ch.qos.logback', 'logback-core', '1.2.3'],
  ['com.fasterxml.jackson.core', 'jackson-databind', '2.9.10'],
  ['commons-collections', 'commons-collections', '3.2.1'],
  ['org.apache.commons', 'commons-text', '1.9'],
  ['org.apache.logging.log4j', 'log4j-core', '2.14.1'],
  ['org.springframework', 'spring-beans', '5.3.16'],
  ['org.yaml', 'snakeyaml', '1.30'],
]

const GO = {
  goVersion: 'go1.26.0',
  main: { path: 'example.invalid/hello', version: 'v1.0.0' },
  dependencies: [
    { path: 'github.com/dgrijalva/jwt-go', version: 'v3.2.0+incompatible' },
    { path: 'github.com/gin-gonic/gin', version: 'v1.8.1' },
    { path: 'golang.org/x/crypto', version: 'v0.14.0' },
    { path: 'golang.org/x/net', version: 'v0.7.0' },
    { path: 'golang.org/x/text', version: 'v0.3.7' },
    { path: 'google.golang.org/grpc', version: 'v1.56.0' },
    { path: 'google.golang.org/protobuf', version: 'v1.31.0' },
  ],
} as const

/** The image that `npm start` scans: two platforms under an index, five layers, old packages of five ecosystems. */
export function writeSampleImage(layoutDir: string, tag = '1.0'): WrittenImage {
  const layout = new OciLayout(layoutDir)
  const index = layout.index(PLATFORMS.map((platform) => platformManifest(layout, platform)))
  layout.finish(index, tag)
  const platforms = PLATFORMS.map(({ os, architecture }) => `${os}/${architecture}`)
  return { layoutDir, tag, digest: index.digest, platforms }
}

function platformManifest(layout: OciLayout, platform: Platform): Descriptor {
  const { architecture } = platform
  const layers = [
    fileLayer(layout, 'ADD debian base / # buildkit', debianFiles(architecture, DEBIAN)),
    fileLayer(layout, 'COPY app /app # buildkit', [
      { path: 'app/package.json', content: applicationManifest() },
      ...Object.entries(NPM).map(([name, version]) => npmPackage('app', name, version)),
    ]),
    fileLayer(
      layout,
      'RUN pip install -r requirements.txt # buildkit',
      Object.entries(PYTHON).flatMap(([name, version]) =>
        pythonDistribution('usr/local/lib/python3.11/site-packages', name, version),
      ),
    ),
    fileLayer(
      layout,
      'COPY lib /opt/app/lib # buildkit',
      MAVEN.map(([group, artifact, version]) => mavenJar('opt/app/lib', group, artifact, version)),
    ),
    fileLayer(layout, 'COPY hello /usr/local/bin/hello # buildkit', [
      { path: 'usr/local/bin/hello', content: goBinary({ ...GO, architecture }), mode: 0o755 },
    ]),
  ]
  const config = {
    Env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
    Cmd: ['/usr/local/bin/hello'],
    Labels: { 'org.opencontainers.image.title': 'sample' },
  }
  return layout.manifest(platform, { created: IMAGE_CREATED, config }, layers)
}

function applicationManifest(): string {
  return `${JSON.stringify({ name: 'sample-app', version: '1.0.0', private: true, dependencies: NPM }, null, 2)}\n`
}
