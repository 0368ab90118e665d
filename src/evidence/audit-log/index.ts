export { type AuditAction, type Auditor, auditRow } from './record.ts'
