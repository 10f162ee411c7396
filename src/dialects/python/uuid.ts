// Ids of requests as the Python routers make them: Python's `uuid.uuid4()`.

/** A version 4 UUID (RFC 9562) of 122 bits by chance. */
export function uuid4(random: () => number): string {
  let hex = ''
  while (hex.length < 32)
    hex += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0')
  const variant = ((parseInt(hex[16] as string, 16) & 3) | 8).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}
