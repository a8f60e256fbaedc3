// A register that answers sealed: a JWE for us holding a JWS of its own. node sealed.mjs <folder of node_modules>
// <settings as JSON>. settings: port, key (X-API-Key), recipient (our public JWK), people. Its own public key is at
// /-/key. A person's `answer` says how it misbehaves: forged (another's signature), plain (not sealed), stale (a sealed
// answer about somebody else).
import { load, say, serve, text } from './manners.mjs'

const [, , folder, told] = process.argv
const settings = JSON.parse(told)
const { CompactEncrypt, CompactSign, exportJWK, generateKeyPair, importJWK } = await load(folder, 'jose')
const own = await generateKeyPair('ES256')
const stranger = await generateKeyPair('ES256')
const recipient = await importJWK(settings.recipient, 'ECDH-ES')
const bytes = (value) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

const sealed = async (value, signer) => {
  const signed = await new CompactSign(bytes(value)).setProtectedHeader({ alg: 'ES256', kid: 'register-1' }).sign(signer)
  return new CompactEncrypt(bytes(signed)).setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'JWT' }).encrypt(recipient)
}

serve(settings.port, async (request, response) => {
  if (request.url === '/-/key') return say(response, 200, { ...(await exportJWK(own.publicKey)), kid: 'register-1', alg: 'ES256', use: 'sig' })
  if (request.headers['x-api-key'] !== settings.key) return say(response, 401, { error: 'unknown_client' })
  if (request.method !== 'POST' || request.url !== '/v1/attributes') return say(response, 404, { error: 'no_such_address' })
  const asked = JSON.parse(await text(request))
  const person = settings.people.find((one) => one.number === asked.person)
  if (!person) return say(response, 404, { error: 'no_such_person' })
  const value = { person: person.answer === 'stale' ? settings.people[0].number : person.number, name: person.name, civil_status: 'married', as_of: '2026-11-01T08:00:00+08:00' }
  if (person.answer === 'plain') return say(response, 200, value)
  const body = await sealed(value, person.answer === 'forged' ? stranger.privateKey : own.privateKey)
  response.writeHead(200, { 'Content-Type': 'application/jose' })
  response.end(body)
})
