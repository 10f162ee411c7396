import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseSelector } from '../../../src/discovery/kubernetes/labels.ts'
import type { Endpoints, Service } from '../../../src/discovery/kubernetes/objects.ts'
import { wantedServices, type ServiceRules } from '../../../src/discovery/kubernetes/services.ts'

const RULES: ServiceRules = {
  selector: parseSelector('app=engine'),
  port: 8000,
  isNamespaced: true,
  modelFrom: 'engine',
  headers: {},
}

const service = (name: string, labels: Record<string, string> = { app: 'engine' }): Service => ({
  metadata: { name, namespace: 'models', uid: `uid-${name}`, labels },
  spec: { selector: { model: 'llama' }, ports: [{ name: 'http', port: 9000 }] },
})
const endpoints = (name: string, addresses: readonly unknown[] = [{ ip: '10.0.0.1' }]): Endpoints => ({
  metadata: { name, namespace: 'models' },
  subsets: [{ addresses }],
})

describe('a service is a worker', () => {
  const cases: readonly [string, Service, Endpoints, Partial<ServiceRules>, readonly string[]][] = [
    ['by its name, when a pod is ready', service('a'), endpoints('a'), {}, ['http://a:8000']],
    [
      'by its longer name from another namespace',
      service('a'),
      endpoints('a'),
      { isNamespaced: false },
      ['http://a.models:8000'],
    ],
    ['on a port that has a name', service('a'), endpoints('a'), { port: 'http' }, ['http://a:9000']],
    ['not on a port that it does not have', service('a'), endpoints('a'), { port: 'grpc' }, []],
    ['not while no pod is ready', service('a'), endpoints('a', []), {}, []],
    ['not by the endpoints of another', service('a'), endpoints('b'), {}, []],
    ['not with other labels', service('a', { app: 'web' }), endpoints('a'), {}, []],
  ]
  for (const [title, one, behind, rules, expected] of cases)
    it(title, () => {
      const wanted = wantedServices([one], [behind], { ...RULES, ...rules })
      assert.deepEqual(
        wanted.map(({ spec }) => spec.url),
        expected,
      )
    })

  it('with the labels of its pods, and another one when it is made anew', () => {
    const [wanted] = wantedServices([service('a')], [endpoints('a')], RULES)
    assert.equal(wanted?.spec.labels['model'], 'llama')
    const again = { ...service('a'), metadata: { ...service('a').metadata, uid: 'new' } }
    assert.notEqual(wantedServices([again], [endpoints('a')], RULES)[0]?.key, wanted?.key)
  })

  it('with the role that its own labels and those of its pods give it', () => {
    const roles = [
      { role: 'prefill', selector: parseSelector('app=engine,model in (llama,other)') },
      { role: 'decode', selector: parseSelector('model=qwen') },
    ] as const
    const roleOf = (model: string) => {
      const one = { ...service('a'), spec: { selector: { model } } }
      return wantedServices([one], [endpoints('a')], { ...RULES, roles })[0]?.spec.role
    }
    assert.deepEqual(['llama', 'qwen', 'else'].map(roleOf), ['prefill', 'decode', 'mixed'])
  })
})
