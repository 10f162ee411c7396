// The API server of a Kubernetes cluster as a Worker reaches it: by a URL with a certificate that everybody trusts, and a token.
import type { ConfigIssue } from '../../src/config/issues.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Outside } from '../../src/host.ts'

export const workersOutside: Outside = {
  async fetch(url, { headers, signal, tls }) {
    if (Object.keys(tls).length > 0) throw new Error('Workers take no certificates of their own for a server')
    return fetch(url, { headers, signal })
  },
  env: () => undefined,
}

/** What finding workers in Kubernetes needs and a Worker does not have: it is in no cluster, and has no files. */
export function outsideIssues(config: Config): ConfigIssue[] {
  if (!config.discover.includes('kubernetes')) return []
  const issues: ConfigIssue[] = []
  const tell = (key: string, message: string) => issues.push({ source: 'default', name: key, key, message })
  if (config.kubernetesApi === undefined || config.kubernetesToken === undefined)
    tell('discover', 'kubernetes needs kubernetesApi and kubernetesToken here: a Worker is in no cluster')
  for (const key of ['kubeconfig', 'kubernetesTokenFile', 'kubernetesCa'] as const)
    if (config[key] !== undefined) tell(key, 'is a file, which a Worker does not have')
  return issues
}
