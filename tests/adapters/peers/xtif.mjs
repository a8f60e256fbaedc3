// A Chinese city's API gateway: node xtif.mjs <settings as JSON>. settings: port, paasid, token, people.
// x-tif-signature = hex(SHA-256(timestamp + token + nonce + timestamp)); a nonce is good once, a timestamp for 180 s.
import { createHash, timingSafeEqual } from 'node:crypto'
import { say, serve, text } from './manners.mjs'

const settings = JSON.parse(process.argv[2])
const nonces = new Set()
const applied = new Map() // 业务流水号 (our key) -> what was answered
const SKEW_S = 180

const no = (response, errcode, errmsg) => say(response, 200, { errcode, errmsg, data: null })
const yes = (response, data) => say(response, 200, { errcode: 0, errmsg: 'ok', data })

/** Say what is wrong with a request's signature; nothing where it is right. */
const wrong = (headers) => {
  const [paasid, at, nonce, signature] = ['paasid', 'timestamp', 'nonce', 'signature'].map((name) => headers[`x-tif-${name}`] ?? '')
  if (paasid !== settings.paasid) return [40001, 'paasid 不存在']
  if (!/^\d{10}$/.test(at) || Math.abs(Date.now() / 1000 - Number(at)) > SKEW_S) return [40002, '时间戳已过期']
  const right = createHash('sha256').update(at + settings.token + nonce + at).digest()
  const given = Buffer.from(signature, 'hex')
  if (!/^[0-9a-f]{64}$/i.test(signature) || !timingSafeEqual(right, given)) return [40003, '签名错误']
  if (nonce.length < 8 || nonces.has(nonce)) return [40004, 'nonce 已使用']
  nonces.add(nonce)
}

const record = (person, n) => ({
  certNo: `JZ${n}`,
  holder: person.name,
  idcard: person.number,
  validFrom: Date.parse('2024-03-01T00:00:00+08:00'),
  longTerm: n % 2 ? '是' : '否',
})

const permits = ({ idcard, pageNo = 1, pageSize = 2 }, response) => {
  const person = settings.people.find((one) => one.number === idcard)
  if (!person) return no(response, 20404, '未查询到数据')
  const all = Array.from({ length: person.permits }, (_, n) => record(person, n + 1))
  const records = all.slice((pageNo - 1) * pageSize, pageNo * pageSize)
  yes(response, { total: all.length, pageNo: Number(pageNo), records, updateTime: Date.parse('2026-11-01T08:30:00+08:00') })
}

const apply = ({ serialNo, idcard, matter }, response) => {
  if (!serialNo) return no(response, 20001, '缺少参数 serialNo')
  if (matter === 'unknown') return no(response, 20002, '事项未开通')
  const before = applied.get(serialNo)
  const answer = before ?? { acceptNo: `SL${applied.size + 1}`, accepted: '是', acceptTime: Date.now() }
  applied.set(serialNo, answer)
  if (!before && matter === 'cut') return response.destroy()
  yes(response, answer)
}

serve(settings.port, async (request, response) => {
  if (request.url === '/-/applied') return say(response, 200, [...applied.keys()])
  if (request.url.startsWith('/slow/')) return setTimeout(() => yes(response, {}), 4000)
  const refused = wrong(request.headers)
  if (refused) return no(response, ...refused)
  const asked = JSON.parse(await text(request))
  if (request.url === '/ebus/residence/permits') return permits(asked, response)
  if (request.url === '/ebus/residence/apply') return apply(asked, response)
  say(response, 404, { errcode: 404, errmsg: '接口不存在', data: null })
})
