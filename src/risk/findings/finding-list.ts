import { listSpec } from '../../http/pages.ts'
import { MATCH_FILTERS, MATCH_SORTS } from './match-filters.ts'

/** What lists of an artifact's findings offer: those of an image, a tag and a scan. */
export const FINDING_LIST = listSpec({
  name: 'findings',
  sorts: MATCH_SORTS,
  defaultSort: { column: 'severity', direction: 'desc' },
  filters: MATCH_FILTERS,
})
