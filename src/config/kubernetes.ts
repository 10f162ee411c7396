// Finding workers in Kubernetes: which pods or services they are, and where the API server is.
import * as z from './form.ts'
import { parseSelector } from '../discovery/kubernetes/labels.ts'
import { about, whole } from './kinds.ts'
import { duration } from './units.ts'

const text = () => z.string().check(z.minLength(1))
const optional = (words: string) => about(z.optional(text()), words)

/** Kept as it was written; what is wrong with it is told where it stands. */
const selector = z.pipe(
  z.string(),
  z.transform((written, ctx) => {
    try {
      parseSelector(written)
      return written
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      ctx.issues.push({ code: 'custom', message, path: [] })
      return z.NEVER
    }
  }),
)
const modelFrom = z
  .string()
  .check(
    z.regex(
      /^(?:engine|namespace|(?:label|annotation):\S+)$/,
      'must be engine, namespace, label:KEY or annotation:KEY',
    ),
  )
const httpUrl = z.string().check(z.regex(/^https?:\/\/[^\s/]+\S*$/, 'must be an http:// or https:// URL'))

export const kubernetes = {
  discover: about(
    z.prefault(z.array(z.enum(['kubernetes'])), []),
    'where workers are found besides: kubernetes',
  ),
  kubernetesSelector: about(
    z.optional(selector),
    'labels of pods that are workers: app=vllm,tier in (a,b); *: every pod',
  ),
  kubernetesPrefillSelector: about(z.optional(selector), 'labels of pods that are prefill workers'),
  kubernetesDecodeSelector: about(z.optional(selector), 'labels of pods that are decode workers'),
  kubernetesDrainSelector: about(
    z.optional(selector),
    'labels of pods that get no new calls, though they are ready: sleeping=true',
  ),
  kubernetesNamespace: optional('namespace to look in; *: all; none: that of the router itself'),
  kubernetesTarget: about(
    z.prefault(z.enum(['pods', 'services']), 'pods'),
    'what is a worker: each pod, or each service that has a ready pod (reached by its name)',
  ),
  kubernetesPort: about(
    z.prefault(z.union([whole(1, 65535), text()]), 8000),
    'port of the workers: a number, or the name of a port of the pod or service',
  ),
  kubernetesNotReady: about(
    z.prefault(z.enum(['drain', 'keep', 'remove']), 'drain'),
    'a pod that is not ready any more: no new calls (drain), left to the health probes (keep), or none of ours (remove)',
  ),
  kubernetesModelFrom: about(
    z.prefault(modelFrom, 'engine'),
    'what names the model of a pod: engine (it is asked), namespace, label:KEY or annotation:KEY',
  ),
  kubernetesBootstrapAnnotations: about(
    z.prefault(z.array(text()), ['sglang.ai/bootstrap-port', 'vllm.ai/bootstrap-port']),
    'annotations of prefill pods that name their bootstrap port; the first that is there counts',
  ),
  kubernetesHeaders: about(z.prefault(z.record(text(), text()), {}), 'extra headers for workers found so'),
  kubernetesRelist: about(
    duration('30s'),
    'how often all of them are listed, whatever the watch tells: so long an error of it lasts at most; off: never',
  ),
  kubernetesStall: about(duration('90s'), 'silence after which a watch is taken to be dead; off: never'),
  kubernetesApi: about(
    z.optional(httpUrl),
    'URL of the API server; none: by kubeconfig, or that of the cluster',
  ),
  kubernetesToken: optional('token for the API server'),
  kubernetesTokenFile: optional('file that holds that token; read anew for each request'),
  kubernetesCa: optional('PEM file of the authority that signed the certificate of the API server'),
  kubeconfig: optional('kubeconfig file; none: KUBECONFIG, the pod itself, or ~/.kube/config'),
  kubeContext: optional('context of the kubeconfig; none: the current one'),
}
