import type { Policy } from './policy.ts'

export const passthrough: Policy = {
  name: 'passthrough',
  about: 'the first worker of the list that can be chosen; the others stand by',
  needsPrefix: false,
  choose: () => 0,
}
