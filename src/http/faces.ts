import type { Problem } from './problems.ts'

/** How one family of routes prints its problems. Successes are printed by the replies of `reply.ts`. */
export interface Face {
  name: string
  /** Routes of a hidden face stay out of the OpenAPI document. */
  hidden: boolean
  printProblem(problem: Problem): unknown
}

const envelope = (problem: Problem) => ({
  error: {
    code: problem.code,
    message: problem.message,
    ...(problem.issues && { issues: problem.issues }),
  },
})

/** `/api`: `{ data }` and `{ error: { code, message, issues } }`. */
export const harborguard: Face = { name: 'harborguard', hidden: false, printProblem: envelope }

/** `/operator`: the same shapes, for the people who run the service. */
export const operator: Face = { name: 'operator', hidden: true, printProblem: envelope }

/** `/api/agent`: bare objects, errors as a sentence and a code. */
export const agent: Face = {
  name: 'agent',
  hidden: false,
  printProblem: (problem) => ({ error: problem.message, code: problem.detail ?? problem.code.toLowerCase() }),
}
