// How a pool's decisions travel from its object to the router: as one text. An object in an answer costs workerd 15 µs more, for
// it is cloned name by name and held until somebody disposes of it (bench/decisions.ts).

const DECIDING = new Set(['pick', 'repick'])

/** Whether that method of an actor answers with a decision. */
export const decides = (method: string): boolean => DECIDING.has(method)

/** A decision as it travels; one that is there already does not wait for a turn of its own. */
export const written = (decision: unknown): unknown =>
  decision instanceof Promise
    ? decision.then((later: unknown) => JSON.stringify(later))
    : JSON.stringify(decision)

/** Reads what `written` wrote. An object of a deployment that is just being replaced may still answer in its own way. */
export const readDecision = (answer: unknown): unknown =>
  typeof answer === 'string' ? (JSON.parse(answer) as unknown) : answer
