// A router below a path of another server: that path is no part of what is asked.

/** A request as it would be at the root; the same one where its path does not begin so. `root`: without a trailing slash. */
export function withoutRoot(request: Request, root: string): Request {
  const url = new URL(request.url)
  if (url.pathname !== root && !url.pathname.startsWith(`${root}/`)) return request
  const rest = url.pathname.slice(root.length) || '/'
  const inner = `${url.origin}${rest}${url.search}`
  // Not a new Request: the body of this one may be read in cheaper ways than its standard ones.
  return new Proxy(request, {
    get(target, key) {
      if (key === 'url') return inner
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
