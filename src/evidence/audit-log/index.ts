export { type AuditAction, auditRow } from './record.ts'
