// What the flags for keys, tokens and certificates mean here.
import { labelsOf, type Settings, type Values } from './translate.ts'

/** Keys of the control plane, JWTs, and certificates in both directions. */
export function translateSecurity(values: Values, settings: Settings): void {
  settings.set('tlsCert', values['tls_cert_path'], 'tls_cert_path')
  settings.set('tlsKey', values['tls_key_path'], 'tls_key_path')
  settings.set('workerTlsCert', values['client_cert_path'], 'client_cert_path')
  settings.set('workerTlsKey', values['client_key_path'], 'client_key_path')
  settings.set('workerTlsCa', listed(values['ca_cert_paths']), 'ca_cert_paths')
  settings.set('controlKeys', listed(values['control_plane_api_keys']), 'control_plane_api_keys')
  settings.set('jwtIssuer', values['jwt_issuer'], 'jwt_issuer')
  settings.set('jwtAudience', values['jwt_audience'], 'jwt_audience')
  settings.set('jwtJwksUri', values['jwt_jwks_uri'], 'jwt_jwks_uri')
  settings.set('jwtRoleClaim', values['jwt_role_claim'], 'jwt_role_claim')
  const roles = labelsOf(values['jwt_role_mapping'])
  settings.set('jwtRoles', Object.keys(roles).length > 0 ? roles : undefined, 'jwt_role_mapping')
  const isAudited = values['control_plane_audit_enabled'] === true && values['disable_audit_logging'] !== true
  settings.set('audit', isAudited, 'disable_audit_logging', 'control_plane_audit_enabled')
}

const listed = (value: unknown): unknown => (Array.isArray(value) && value.length > 0 ? value : undefined)
