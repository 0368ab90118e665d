import { derivedId } from '../ids.ts'

/**
 * The scan of an upload without a job, by the id that the upload gives itself: the same upload of the same
 * organization is the same scan, whoever sends it and however often. Another organization's is another.
 */
export const standAloneScanId = (org: number, uploadId: string): Promise<string> =>
  derivedId('scan', `stand-alone ${org} ${uploadId}`)
