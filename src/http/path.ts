/** A path as its client meant it: the public sensor joins its base URL with `//`, and must never be redirected. */
export function meantPath(pathname: string): string {
  const path = pathname.replace(/\/{2,}/g, '/')
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}
