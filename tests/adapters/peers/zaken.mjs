// A Dutch municipality's registers: node zaken.mjs <folder of node_modules> <settings as JSON>. settings: port, client_id,
// secret, people. A person is looked up by POST, so that no number stands in an address; then a case is created, a role
// added and a status set, each by a request of its own. `PUT /-/cut` {"after": "rollen"}: the next such request is carried
// out, and the connection cut before the answer.
import { load, say, serve, text } from './manners.mjs'

const [, , folder, told] = process.argv
const settings = JSON.parse(told)
const { jwtVerify } = await load(folder, 'jose')
const secret = new TextEncoder().encode(settings.secret)
const here = `http://127.0.0.1:${settings.port}`
const books = { zaken: [], rollen: [], statussen: [] }
let cut = null
let seen = new Set() // jti of tokens, in case one is used twice for writing

const problem = (response, status, code, title) =>
  say(response, status, { type: `${here}/ref/fouten/${code}`, code, title, status, detail: title, instance: `urn:uuid:${crypto.randomUUID()}` }, { 'Content-Type': 'application/problem+json' })

const caller = async (request) => {
  const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')
  const { payload } = await jwtVerify(bearer ? bearer[1] : '', secret, { algorithms: ['HS256'], issuer: settings.client_id, maxTokenAge: 120, clockTolerance: 5 })
  if (payload.client_id !== settings.client_id || !payload.user_id) throw new Error('claims')
  if (request.method === 'POST' && seen.has(payload.jti)) throw new Error('used')
  seen.add(payload.jti)
}

const add = (request, response, list, record) => {
  const url = `${here}/zaken/api/v1/${list}/${crypto.randomUUID()}`
  const made = { url, ...record }
  books[list].push(made)
  if (cut === list) {
    cut = null
    return response.destroy()
  }
  say(response, 201, made, { Location: url })
}

const list = (response, found) => say(response, 200, { count: found.length, next: null, previous: null, results: found })

const POSTS = {
  '/brp/personen': (request, response, asked) => {
    if (asked.type !== 'RaadpleegMetBurgerservicenummer') return problem(response, 400, 'paramsValidation', 'type is onbekend')
    const found = settings.people.filter((person) => asked.burgerservicenummer.includes(person.number))
    say(response, 200, { type: asked.type, personen: found.map((p) => ({ burgerservicenummer: p.number, naam: { volledigeNaam: p.name }, persoonId: p.id })) })
  },
  '/zaken/api/v1/zaken': (request, response, asked) => {
    if (!asked.zaaktype) return problem(response, 400, 'invalid', 'zaaktype is verplicht')
    if (books.zaken.some((one) => one.identificatie === asked.identificatie)) return problem(response, 400, 'identificatie-niet-uniek', 'identificatie bestaat al')
    add(request, response, 'zaken', asked)
  },
  '/zaken/api/v1/rollen': (request, response, asked) => {
    if (!books.zaken.some((one) => one.url === asked.zaak)) return problem(response, 400, 'does-not-exist', 'zaak bestaat niet')
    add(request, response, 'rollen', asked)
  },
  '/zaken/api/v1/statussen': (request, response, asked) => {
    if (!books.rollen.some((one) => one.zaak === asked.zaak)) return problem(response, 400, 'no-role', 'zaak heeft geen initiator')
    add(request, response, 'statussen', asked)
  },
}

serve(settings.port, async (request, response) => {
  const url = new URL(request.url, here)
  if (url.pathname === '/-/books') return say(response, 200, books)
  if (url.pathname === '/-/cut') {
    cut = JSON.parse(await text(request)).after
    return say(response, 204)
  }
  try {
    await caller(request)
  } catch (fault) {
    return problem(response, 403, 'permission_denied', `JWT: ${fault.code ?? fault.message}`)
  }
  const geometry = url.pathname.startsWith('/zaken/api/v1/zaken')
  if (geometry && request.headers['accept-crs'] !== 'EPSG:4326') return problem(response, 406, 'not_acceptable', 'Accept-Crs is verplicht')
  if (request.method === 'POST' && POSTS[url.pathname]) return POSTS[url.pathname](request, response, JSON.parse(await text(request)))
  const wanted = url.searchParams
  if (url.pathname === '/zaken/api/v1/zaken') return list(response, books.zaken.filter((one) => one.identificatie === wanted.get('identificatie')))
  if (url.pathname === '/zaken/api/v1/rollen') return list(response, books.rollen.filter((one) => one.zaak === wanted.get('zaak')))
  if (url.pathname === '/zaken/api/v1/statussen') return list(response, books.statussen.filter((one) => one.zaak === wanted.get('zaak')))
  problem(response, 404, 'not_found', 'niet gevonden')
})
