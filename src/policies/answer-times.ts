// What a worker's last answers took, as DLRouter and Distributed-LLM-Router make one number of them.

/** The mean, ms; 0: there are none. */
export function meanOf(recent: readonly number[]): number {
  let sum = 0
  for (const ms of recent) sum += ms
  return recent.length === 0 ? 0 : sum / recent.length
}

/** Distributed-LLM-Router's moving average: a new answer weighs three tenths, from the fourth on 1/n. 0: there are none. */
export function averageOf(recent: readonly number[]): number {
  let average = recent[0] ?? 0
  for (let i = 1; i < recent.length; i++)
    average += Math.min(0.3, 1 / (i + 1)) * ((recent[i] as number) - average)
  return average
}
