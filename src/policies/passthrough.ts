import type { Policy } from './policy.ts'

export const passthrough: Policy = {
  name: 'passthrough',
  about: 'the first of the list; the others stand by',
  needsPrefix: false,
  choose: () => 0,
}
