// Somebody else's OpenID provider, for one test run: node provider.mjs <folder of node_modules> <settings as JSON>.
// settings: port, redirect_uri, home, secret, accounts {login: claims}, one client an algorithm; keys, the public ones of
// a client that pushes its requests, signs them, binds its tokens to a key and has its ID tokens encrypted.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [, , folder, told] = process.argv
const settings = JSON.parse(told)
const { default: Provider } = await import(
  pathToFileURL(createRequire(join(folder, 'here.js')).resolve('oidc-provider')).href
)

const jwk = (kind, options, more) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more })
const keys = [
  jwk('rsa', { modulusLength: 2048 }, { kid: 'rsa' }),
  jwk('ec', { namedCurve: 'P-256' }, { kid: 'ec' }),
  jwk('ed25519', {}, { kid: 'ed' }),
]
const client = (alg) => ({
  client_id: `onestop-${alg}`,
  client_secret: settings.secret,
  token_endpoint_auth_method: alg === 'ES256' ? 'client_secret_post' : 'client_secret_basic',
  redirect_uris: [settings.redirect_uri],
  post_logout_redirect_uris: [settings.home],
  response_types: ['code'],
  grant_types: ['authorization_code'],
  id_token_signed_response_alg: alg,
})
const strict = {
  client_id: 'onestop-strict',
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256',
  require_pushed_authorization_requests: true,
  dpop_bound_access_tokens: true,
  jwks: { keys: settings.keys },
  redirect_uris: [settings.redirect_uri],
  post_logout_redirect_uris: [settings.home],
  response_types: ['code'],
  grant_types: ['authorization_code'],
  id_token_signed_response_alg: 'ES256',
  id_token_encrypted_response_alg: 'ECDH-ES',
  id_token_encrypted_response_enc: 'A256GCM',
}
const provider = new Provider(`http://127.0.0.1:${settings.port}`, {
  clients: [...settings.algorithms.map(client), strict],
  jwks: { keys },
  cookies: { keys: ['only for one test run'] },
  enabledJWA: {
    idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'Ed25519', 'EdDSA'],
    clientAuthSigningAlgValues: ['ES256'],
    dPoPSigningAlgValues: ['ES256'],
    idTokenEncryptionAlgValues: ['ECDH-ES', 'ECDH-ES+A256KW'],
    idTokenEncryptionEncValues: ['A256GCM'],
  },
  claims: { openid: ['sub'], profile: ['name'], id_number: ['id_number'] },
  scopes: ['openid', 'profile', 'id_number'],
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    encryption: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...settings.accounts[id] }) }),
})
provider.listen(settings.port, '127.0.0.1')
