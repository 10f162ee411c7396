// The first of the list; the others stand by.
import type { Policy } from './policy.ts'

export const passthrough: Policy = {
  name: 'passthrough',
  needsPrefix: false,
  choose: () => 0,
}
