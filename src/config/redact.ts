// The configuration as it may be shown: keys are replaced, everything else stays.
import type { Config } from './schema.ts'

const HIDDEN = '[hidden]'

/** A copy without API keys and tokens, and without the values of workers' extra headers. */
export function redact(config: Config): Config {
  return {
    ...config,
    apiKeys: config.apiKeys.map((apiKey) => ({ ...apiKey, key: HIDDEN })),
    tunnelTokens: config.tunnelTokens.map((entry) => ({ ...entry, token: HIDDEN })),
    controlKeys: config.controlKeys.map((entry) => ({ ...entry, key: HIDDEN })),
    ...(config.adminKey === undefined ? {} : { adminKey: HIDDEN }),
    ...(config.heartbeatToken === undefined ? {} : { heartbeatToken: HIDDEN }),
    ...(config.workerApiKey === undefined ? {} : { workerApiKey: HIDDEN }),
    ...(config.workerProbeKey === undefined ? {} : { workerProbeKey: HIDDEN }),
    ...(config.kubernetesToken === undefined ? {} : { kubernetesToken: HIDDEN }),
    kubernetesHeaders: hideValues(config.kubernetesHeaders),
    providers: config.providers.map((provider) => ({
      ...provider,
      ...(provider.apiKey === undefined ? {} : { apiKey: HIDDEN }),
      headers: hideValues(provider.headers),
    })),
    ...(config.semanticCache?.apiKey === undefined
      ? {}
      : { semanticCache: { ...config.semanticCache, apiKey: HIDDEN } }),
    workers: config.workers.map((worker) => ({
      ...worker,
      ...(worker.apiKey === undefined ? {} : { apiKey: HIDDEN }),
      ...(worker.headers === undefined ? {} : { headers: hideValues(worker.headers) }),
    })),
  }
}

function hideValues(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(headers).map((name) => [name, HIDDEN]))
}
