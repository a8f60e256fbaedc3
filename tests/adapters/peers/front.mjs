// A department's own gateway, in front of Prism: node front.mjs <port> <Prism's port> <settings as JSON>.
// Prism checks that a credential is there; here its value is checked too. Settings: `key` {header, value, refusal},
// `base` (the path the API is served under), `demands` (headers that must have a value), `pages` (how many pages a list
// has: Prism repeats the document's placeholders as the next page's address), `pays` (a payment is paid when it is
// asked for the second time). Prefer, Idempotency-Key and everything else go through to Prism.
import { request as ask } from 'node:http'
import { say, serve, text } from './manners.mjs'

const [, , port, behind, told] = process.argv
const settings = JSON.parse(told)
const kept = new Map() // Idempotency-Key -> the first answer
let asked = 0 // how often the payment was looked at
let created = 0

const pass = (message, path, body) =>
  new Promise((done, failed) => {
    const headers = { ...message.headers, host: `127.0.0.1:${behind}` }
    const outgoing = ask({ host: '127.0.0.1', port: behind, method: message.method, path, headers }, async (reply) => {
      done({ status: reply.statusCode, headers: reply.headers, body: await text(reply) })
    })
    outgoing.on('error', failed)
    outgoing.end(body)
  })

/** Put addresses of our own where the document has placeholders, and end the list after `pages`. */
const turnPages = (body, url) => {
  const page = Number(url.searchParams.get('page') ?? '1')
  const links = body._links ?? {}
  for (const link of Object.values(links)) {
    const told = new URL(url)
    const to = /page=\d+/.test(link.href ?? '')
    if (to) told.searchParams.set('page', String(page + 1))
    link.href = told.href
  }
  if (page >= settings.pages) delete links.next
  return body
}

const pay = (message, body) => {
  if (message.method === 'POST') created += 1
  asked = message.method === 'POST' ? 0 : asked + 1
  if (body.state) body.state = asked > 1 ? { status: 'success', finished: true } : { status: 'created', finished: false }
  return body
}

serve(Number(port), async (message, response) => {
  const url = new URL(message.url, `http://127.0.0.1:${port}`)
  if (url.pathname === '/-/created') return say(response, 200, { created })
  const { header, value, refusal } = settings.key
  if (message.headers[header] !== value) return say(response, refusal.status, refusal.body)
  for (const [name, wanted] of Object.entries(settings.demands ?? {})) {
    if (message.headers[name] !== wanted) return say(response, 412, { status: 412, title: `${name} must be ${wanted}` })
  }
  const body = await text(message)
  const key = message.method === 'POST' && message.headers['idempotency-key']
  const before = key && kept.get(key)
  if (before && before.asked !== body) return say(response, 409, { code: 'P0191', description: 'The `Idempotency-Key` you sent is in use' })
  if (before) return say(response, before.status, before.value)
  const reply = await pass(message, url.pathname.slice((settings.base ?? '').length) + url.search, body)
  if (reply.status >= 400 || !/json/.test(reply.headers['content-type'] ?? '')) {
    response.writeHead(reply.status, { 'Content-Type': reply.headers['content-type'] ?? 'text/plain' })
    return response.end(reply.body)
  }
  let answer = JSON.parse(reply.body)
  if (settings.pages) answer = turnPages(answer, url)
  if (settings.pays) answer = pay(message, answer)
  if (key) kept.set(key, { asked: body, status: reply.status, value: answer })
  say(response, reply.status, answer, { 'Content-Type': reply.headers['content-type'] })
})
