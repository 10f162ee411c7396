// One pool as several, and routers that share their workers with other routers.
import * as z from './form.ts'
import { read, whole } from './kinds.ts'
import { normalizeUrl } from './urls.ts'

const router = () => read(normalizeUrl)

export const sharing = {
  poolShards: z.prefault(whole(1, 64), 1),
  peers: z.prefault(z.array(router()), []),
  leader: z.optional(router()),
}
