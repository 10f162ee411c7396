// What may be wrong with what a client sends, as node:http would tell of it itself.

/** The client ended its side within a body. */
export function endedEarly(): Error {
  return Object.assign(new Error('the body ended early'), { code: ENDED })
}

/** A head did not come in its time. */
export function tooSlow(): Error {
  return Object.assign(new Error('the request head came too slowly'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
}

/** What came is no request, and nobody knows why. */
export function unreadable(): Error {
  return Object.assign(new Error('the request cannot be read'), { code: 'HPE_UNKNOWN' })
}

/** Another protocol was asked for while answers are due. */
export function tooEarly(): Error {
  return Object.assign(new Error('another protocol cannot begin before the answers that are due'), {
    code: 'HPE_USER',
  })
}

/** What came is no request; the client is still there. */
export function isInText(error: Error): boolean {
  return 'code' in error && error.code !== ENDED && String(error.code).startsWith('HPE_')
}

const ENDED = 'HPE_INVALID_EOF_STATE'
