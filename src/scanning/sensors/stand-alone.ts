import type { BaseContext } from '../../context.ts'
import { invalid } from '../../http/problems.ts'
import type { ReceivedUpload } from './receive-upload.ts'
import type { RunnerIdentity } from './runner-identity.ts'
import type { UploadAnswer } from './take-upload.ts'

/** Takes a result that names no job of this key. Throws VALIDATION_ERROR: stand-alone results are not taken yet. */
export async function takeStandAlone(
  _ctx: BaseContext,
  _runner: RunnerIdentity,
  _upload: ReceivedUpload,
): Promise<UploadAnswer> {
  throw invalid({ path: 'scan.id', message: 'is not a job of this key' })
}
