// Other people's relying parties, for one test run: node relying.mjs <folder of node_modules> <settings as JSON>.
// settings: issuer, cookie (of somebody signed in at onestop), back, clients {basic, keyed, open}.
// Prints one JSON object: what each walk found, or how it failed.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [, , folder, told] = process.argv
const settings = JSON.parse(told)
const require = createRequire(join(folder, 'here.js'))
const load = (name) => import(pathToFileURL(require.resolve(name)).href)
const [client, oauth] = [await load('openid-client'), await load('oauth4webapi')]
const issuer = new URL(settings.issuer)
const insecure = { [oauth.allowInsecureRequests]: true } // this machine, in the clear

// What the browser does: it goes where it is sent, with its cookie, and is sent back.
async function browse(url) {
  const answer = await fetch(url, { redirect: 'manual', headers: { cookie: settings.cookie } })
  return new URL(answer.headers.get('location'))
}

async function configured({ id, secret, jwk }) {
  const key = jwk && (await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']))
  const proving = secret ? client.ClientSecretBasic(secret) : jwk ? client.PrivateKeyJwt(key) : client.None()
  const metadata = { id_token_signed_response_alg: 'ES256' }
  const config = await client.discovery(issuer, id, metadata, proving, { execute: [client.allowInsecureRequests] })
  client.enableNonRepudiationChecks(config) // checks the ID token's signature too
  return config
}

// The whole of a sign-in with openid-client.
async function walk(who, { par = false, dpop = false } = {}) {
  const config = await configured(who)
  const DPoP = dpop ? client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256')) : undefined
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()]
  const asked = {
    redirect_uri: settings.back,
    scope: 'openid insurance',
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    max_age: '3600',
  }
  const url = par
    ? await client.buildAuthorizationUrlWithPAR(config, asked, { DPoP })
    : client.buildAuthorizationUrl(config, asked)
  const back = await browse(url)
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, maxAge: 3600, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, back, checks, undefined, { DPoP })
  const sub = tokens.claims().sub
  const before = await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP })
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
  const after = await client.fetchUserInfo(config, next.access_token, sub, { DPoP })
  const found = { name: before.name, same: before.sub === after.sub, type: tokens.token_type, parameters: [...url.searchParams.keys()] }
  if (who.secret || who.jwk) found.active = (await client.tokenIntrospection(config, next.access_token)).active
  await client.tokenRevocation(config, next.refresh_token)
  found.ended = await client.refreshTokenGrant(config, next.refresh_token, undefined, { DPoP }).then(() => false, (e) => e.error)
  return found
}

// The same with oauth4webapi, step by step: pushed request, key, DPoP with nonces; and our token at somebody's resource.
async function steps({ id, jwk }) {
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  const [site, proving] = [{ client_id: id, id_token_signed_response_alg: 'ES256' }, oauth.PrivateKeyJwt(key)]
  const pair = await oauth.generateKeyPair('ES256')
  const DPoP = oauth.DPoP(site, pair)
  const [verifier, nonce, state] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomNonce(), oauth.generateRandomState()]
  const asked = {
    response_type: 'code', redirect_uri: settings.back, scope: 'openid insurance', nonce, state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  }
  let nonces = 0
  const again = async (step) => {
    try { return await step() } catch (fault) {
      if (!oauth.isDPoPNonceError(fault)) throw fault
      nonces += 1
      return step()
    }
  }
  const pushed = await again(async () =>
    oauth.processPushedAuthorizationResponse(as, site, await oauth.pushedAuthorizationRequest(as, site, proving, asked, { DPoP, ...insecure })))
  const url = new URL(as.authorization_endpoint)
  url.search = new URLSearchParams({ client_id: id, request_uri: pushed.request_uri })
  const parameters = oauth.validateAuthResponse(as, site, await browse(url), state)
  const tokens = await again(async () =>
    oauth.processAuthorizationCodeResponse(as, site,
      await oauth.authorizationCodeGrantRequest(as, site, proving, parameters, settings.back, verifier, { DPoP, ...insecure }),
      { expectedNonce: nonce, requireIdToken: true }))
  const { sub } = oauth.getValidatedIdTokenClaims(tokens)
  const info = await again(async () =>
    oauth.processUserInfoResponse(as, site, sub, await oauth.userInfoRequest(as, site, tokens.access_token, { DPoP, ...insecure })))
  const next = await again(async () =>
    oauth.processRefreshTokenResponse(as, site, await oauth.refreshTokenGrantRequest(as, site, proving, tokens.refresh_token, { DPoP, ...insecure })))
  // A resource that checks our token offline with the JWKS, as RFC 9068 and RFC 9449 say; the request is one it records.
  let seen
  await oauth.protectedResourceRequest(next.access_token, 'GET', new URL(as.userinfo_endpoint), undefined, undefined, {
    DPoP, ...insecure, [oauth.customFetch]: async (address, options) => { seen = new Request(address, options); return fetch(address, options) },
  })
  const claims = await oauth.validateJwtAccessToken(as, seen, as.userinfo_endpoint, { requireDPoP: true, ...insecure })
  return { name: info.name, type: next.token_type, nonces: nonces > 0, client: claims.client_id === id, same: claims.sub === sub }
}

// A site gets a token for a department's system (RFC 8693), and the department checks it offline with the JWKS.
async function exchange(who) {
  const config = await configured(who)
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: settings.back, scope: 'openid insurance', code_challenge_method: 'S256',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
  })
  const tokens = await client.authorizationCodeGrant(config, await browse(url), { pkceCodeVerifier })
  const type = 'urn:ietf:params:oauth:token-type:access_token'
  const asked = { subject_token: tokens.access_token, subject_token_type: type, audience: 'gongan', purpose: 'insurance', case: '2026-SB-1' }
  const ask = (more) => client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', { ...asked, ...more })
  const given = await ask({})
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
  const request = new Request('https://gongan.example/household', { headers: { authorization: `Bearer ${given.access_token}` } })
  const claims = await oauth.validateJwtAccessToken(as, request, 'urn:onestop:department:gongan', insecure)
  const elsewhere = await ask({ audience: 'minzheng' }).then(() => 'given', (fault) => fault.error)
  return { act: claims.act.department, agreement: claims.agreement, number: claims.id_number.number, elsewhere }
}

const found = {}
for (const [name, how] of Object.entries({
  code: () => walk(settings.clients.basic),
  pushed: () => walk(settings.clients.basic, { par: true }),
  keyed: () => walk(settings.clients.keyed, { par: true }),
  open: () => walk(settings.clients.open),
  bound: () => walk(settings.clients.keyed, { par: true, dpop: true }),
  open_bound: () => walk(settings.clients.open, { dpop: true }),
  steps: () => steps(settings.clients.keyed),
  exchange: () => exchange(settings.clients.keyed),
})) {
  found[name] = await how().catch((fault) => ({ failed: `${fault.code ?? fault.name}: ${fault.error ?? fault.message} ${fault.error_description ?? ''} ${fault.cause?.message ?? ''}` }))
}
console.log(JSON.stringify(found))
