import { decodeBase64Url, encodeBase64Url } from '../../crypto/bytes.ts'

/** A text as gzip in base64url: what a column holds where BLOBs would come back as arrays of numbers. */
export async function gzipText(text: string): Promise<string> {
  const stream = new Response(text).body!.pipeThrough(new CompressionStream('gzip'))
  return encodeBase64Url(new Uint8Array(await new Response(stream).arrayBuffer()))
}

/** What `gzipText` made. */
export async function gunzipText(data: string): Promise<string> {
  const stream = new Response(decodeBase64Url(data) ?? '').body!.pipeThrough(new DecompressionStream('gzip'))
  return new Response(stream).text()
}
