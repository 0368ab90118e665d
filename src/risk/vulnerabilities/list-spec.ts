import { text } from '../../http/page-filters.ts'
import type { ParameterText } from '../../http/page-schemas.ts'
import { listSpec, type PageRequest } from '../../http/pages.ts'
import {
  MATCH_FILTER_TEXTS,
  MATCH_FILTERS,
  MATCH_SORTS,
  type MatchFilters,
  type MatchSort,
} from '../findings/index.ts'

export interface VulnerabilityFilters extends MatchFilters {
  image: string
  registry: string
}

export const VULNERABILITY_LIST = listSpec({
  name: 'vulnerabilities',
  sorts: MATCH_SORTS,
  defaultSort: { column: 'severity', direction: 'desc' },
  filters: { ...MATCH_FILTERS, image: text(1024), registry: text(64) },
})

export type VulnerabilityListRequest = PageRequest<MatchSort, VulnerabilityFilters>

export const VULNERABILITY_FILTER_TEXTS: Record<keyof typeof VULNERABILITY_LIST.filters, ParameterText> = {
  ...MATCH_FILTER_TEXTS,
  image: {
    description: 'Shown by an artifact of this image: its id or its name',
    example: 'ghcr.io/acme/api',
  },
  registry: {
    description: 'Shown by an artifact of this registry, by id',
    example: 'reg_5t1r6w7m2k9q4x0v8b3n',
  },
}
