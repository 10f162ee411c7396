// Finding workers in Kubernetes: which pods or services they are, and where the API server is.
import * as z from './form.ts'
import { parseSelector } from '../discovery/kubernetes/labels.ts'
import { whole } from './kinds.ts'
import { duration } from './units.ts'

const text = () => z.string().check(z.minLength(1))
const optional = () => z.optional(text())

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
  discover: z.prefault(z.array(z.enum(['kubernetes'])), []),
  kubernetesSelector: z.optional(selector),
  kubernetesPrefillSelector: z.optional(selector),
  kubernetesDecodeSelector: z.optional(selector),
  kubernetesDrainSelector: z.optional(selector),
  kubernetesNamespace: optional(),
  kubernetesTarget: z.prefault(z.enum(['pods', 'services']), 'pods'),
  kubernetesPort: z.prefault(z.union([whole(1, 65535), text()]), 8000),
  kubernetesNotReady: z.prefault(z.enum(['drain', 'keep', 'remove']), 'drain'),
  kubernetesModelFrom: z.prefault(modelFrom, 'engine'),
  kubernetesBootstrapAnnotations: z.prefault(z.array(text()), [
    'sglang.ai/bootstrap-port',
    'vllm.ai/bootstrap-port',
  ]),
  kubernetesHeaders: z.prefault(z.record(text(), text()), {}),
  kubernetesRelist: duration('30s'),
  kubernetesStall: duration('90s'),
  kubernetesApi: z.optional(httpUrl),
  kubernetesToken: optional(),
  kubernetesTokenFile: optional(),
  kubernetesCa: optional(),
  kubeconfig: optional(),
  kubeContext: optional(),
}
