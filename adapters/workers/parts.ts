// What a Worker can be besides a router of its own words, all of it in the one script: dialects, Kubernetes by a token, heartbeats.
import { surfaceNamed } from '../../src/dialects/surfaces.ts'
import { hearing } from '../../src/discovery/heartbeat/source.ts'
import { accessBy, told } from '../../src/discovery/kubernetes/credentials.ts'
import { kubernetesSource } from '../../src/discovery/kubernetes/source.ts'
import { byHeartbeat, byKubernetes } from '../../src/discovery/source.ts'
import type { Parts } from '../../src/parts.ts'

/** A Worker is in no cluster and has no files: only what the configuration says itself leads to an API server. */
const kubernetes = kubernetesSource((config, outside) => accessBy(told, config, outside))

export const workersParts: Parts = {
  surface: async (name) => surfaceNamed(name),
  sources: [byKubernetes(async () => kubernetes), byHeartbeat(async () => hearing())],
}
