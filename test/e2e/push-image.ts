import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WrittenImage } from '../../dev/sample/image/written-image.ts'

interface Manifest {
  mediaType: string
  manifests?: { digest: string }[]
  config?: { digest: string }
  layers?: { digest: string }[]
}

/** Uploads an OCI layout's image with all its platforms to `http://host/v2/repository`, under its tag. */
export async function pushImage(
  image: WrittenImage,
  host: string,
  repository: string,
  authorization: string,
): Promise<void> {
  const base = `http://${host}/v2/${repository}`
  const headers = { Authorization: authorization }
  const blob = (digest: string) =>
    readFileSync(join(image.layoutDir, 'blobs', 'sha256', digest.slice('sha256:'.length)))

  async function pushBlob(digest: string): Promise<void> {
    const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST', headers })
    const location = new URL(await expectStatus(begun, 202, 'location'), base)
    location.searchParams.set('digest', digest)
    const put = await fetch(location, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': 'application/octet-stream' },
      body: new Uint8Array(blob(digest)),
    })
    await expectStatus(put, 201, 'docker-content-digest')
  }

  async function pushManifest(digest: string, reference: string): Promise<void> {
    const bytes = blob(digest)
    const manifest = JSON.parse(bytes.toString()) as Manifest
    for (const child of manifest.manifests ?? []) await pushManifest(child.digest, child.digest)
    for (const part of [manifest.config, ...(manifest.layers ?? [])]) if (part) await pushBlob(part.digest)
    const put = await fetch(`${base}/manifests/${reference}`, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': manifest.mediaType },
      body: new Uint8Array(bytes),
    })
    const stored = await expectStatus(put, 201, 'docker-content-digest')
    if (stored !== digest) throw new Error(`pushed ${digest}, the registry stored ${stored}`)
  }

  await pushManifest(image.digest, image.tag)
}

/** The named header of an answer that has the status; throws with the registry's words otherwise. */
async function expectStatus(answer: Response, status: number, header: string): Promise<string> {
  const text = await answer.text()
  const value = answer.headers.get(header)
  if (answer.status === status && value) return value
  throw new Error(`${answer.url} answered ${answer.status}: ${text.slice(0, 300)}`)
}
