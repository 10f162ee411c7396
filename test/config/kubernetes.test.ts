import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfigFile } from '../../adapters/cli/yaml.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { load } from '../../src/config/load.ts'

const REFUSED: readonly (readonly [file: string, issue: RegExp])[] = [
  ['discover: [kubernetes]', /^1:1: discover: kubernetes needs kubernetesSelector/],
  ['kubernetesSelector: app=x', /^1:1: kubernetesSelector: has no effect: set discover to kubernetes/],
  ['discover: [kubernetes]\nkubernetesSelector: ""', /^2:1: kubernetesSelector: an empty selector matches/],
  ['discover: [kubernetes]\nkubernetesSelector: a b', /kubernetesSelector: "a b" is no label/],
  [
    'discover: [kubernetes]\nkubernetesTarget: services\nkubernetesPrefillSelector: a\nkubernetesDecodeSelector: b',
    /kubernetesPrefillSelector: cannot go with kubernetesTarget services/,
  ],
  [
    'discover: [kubernetes]\nkubernetesSelector: a\nkubernetesApi: http://k\nkubeconfig: c',
    /kubeconfig: cannot go with kubernetesApi/,
  ],
  [
    'discover: [kubernetes]\nkubernetesPrefillSelector: a',
    /^2:1: kubernetesPrefillSelector: prefill workers need decode workers/,
  ],
  ['kubernetesModelFrom: pod', /must be engine, namespace, label:KEY or annotation:KEY/],
  ['kubernetesPort: 0', /kubernetesPort/],
  ['kubernetesApi: k:6443', /must be an http:\/\/ or https:\/\/ URL/],
]
for (const [file, issue] of REFUSED)
  test(`${JSON.stringify(file)} is refused`, () => {
    const issues = load({ file: parseConfigFile('f', file) }).issues.map(formatIssue)
    assert.ok(issues.length > 0)
    assert.match((issues[0] ?? '').replace(/^f:/, ''), issue)
  })

test('prefill pods may go with decode workers that are named', () => {
  const text = 'discover: [kubernetes]\nkubernetesPrefillSelector: a=b\ndecode: [http://d:1]'
  assert.deepEqual(load({ file: parseConfigFile('f', text) }).issues, [])
})
