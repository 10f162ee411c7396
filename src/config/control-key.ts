// A key of the control plane as one text: ID:NAME:ROLE:KEY.

/** Reads the text; the key itself may hold colons. Null when it is none. */
export function parseControlKey(
  written: string,
): { id: string; name: string; role: 'admin' | 'user'; key: string } | null {
  const match = /^([^:]*):([^:]*):(admin|user):(.+)$/is.exec(written.trim())
  if (!match) return null
  const [, id = '', name = '', role = '', key = ''] = match
  return { id, name, role: role.toLowerCase() as 'admin' | 'user', key }
}
