// One pool as several, and routers that share their workers with other routers.
import * as z from './form.ts'
import { about, read, whole } from './kinds.ts'
import { normalizeUrl } from './urls.ts'

const router = () => read(normalizeUrl)

export const sharing = {
  poolShards: about(
    z.prefault(whole(1, 64), 1),
    'objects that decide side by side where one is too small (Cloudflare Workers); each has conversations of its own',
  ),
  peers: about(
    z.prefault(z.array(router()), []),
    'URLs of routers with the same workers: told every 10 ms at most what this one has there',
  ),
  leader: about(
    z.optional(router()),
    'URL of the router that decides for this one; it decides by itself while that is silent',
  ),
}
