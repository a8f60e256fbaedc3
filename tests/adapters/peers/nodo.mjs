// A payment hub of the kind Italy runs, in SOAP: node nodo.mjs <folder of node_modules> <WSDL> <settings as JSON>.
// settings: port, key (Ocp-Apim-Subscription-Key), username, password. npm's soap reads the WSDL and serves it; a notice
// number's last three digits say how the notice is: 404 unknown, 410 expired, 409 paid already, 999 the hub fails.
import { readFileSync } from 'node:fs'
import { load, note, say, serve } from './manners.mjs'

const [, , folder, document, told] = process.argv
const settings = JSON.parse(told)
const { default: soap } = await load(folder, 'soap')
const basic = 'Basic ' + Buffer.from(`${settings.username}:${settings.password}`).toString('base64')
const activated = new Map() // idempotencyKey -> the first answer
const paid = new Map() // payment token -> amount

const ENDS = {
  404: ['PPT_PAYMENT_UNKNOWN', 'The payment is unknown', 'the creditor does not know this notice'],
  410: ['PPT_PAYMENT_EXPIRED', 'The payment has expired', 'the due date has passed'],
  409: ['PPT_PAYMENT_DUPLICATED', 'The payment was made already', 'paid on another channel'],
}
const refusal = (notice) => {
  const found = ENDS[notice.slice(-3)]
  return found && { outcome: 'KO', fault: { faultCode: found[0], faultString: found[1], id: 'HUB', description: found[2] } }
}
const broken = () => {
  throw { Fault: { faultcode: 'soap:Server', faultstring: 'The hub cannot answer', statusCode: 500 } }
}
const verify = ({ qrCode }) => {
  if (qrCode.noticeNumber.endsWith('999')) broken()
  return refusal(qrCode.noticeNumber) ?? {
    outcome: 'OK',
    paymentList: { paymentOptionDescription: { amount: '12.50', options: 'EQ', dueDate: '2026-12-31', paymentNote: 'residence permit' } },
    paymentDescription: 'Residence permit',
    fiscalCodePA: qrCode.fiscalCode,
    companyName: 'Comune di Prova',
  }
}
const activate = (asked) => {
  const before = activated.get(asked.idempotencyKey)
  if (before) return before
  const no = refusal(asked.qrCode.noticeNumber)
  if (no) return no
  const paymentToken = `tok${String(activated.size + 1).padStart(29, '0')}`
  const answer = { outcome: 'OK', totalAmount: asked.amount, paymentDescription: 'Residence permit', paymentToken, creditorReferenceId: asked.qrCode.noticeNumber.slice(1) }
  activated.set(asked.idempotencyKey, answer)
  paid.set(paymentToken, asked.amount)
  return answer
}

soap.listen(serve(settings.port), {
  path: '/node-for-psp',
  services: { NodeForPsp: { NodeForPspPort: { verifyPaymentNotice: verify, activatePaymentNotice: activate } } },
  xml: readFileSync(document, 'utf8'),
  uri: document,
}).authorizeConnection = (request, response) => {
  note(request, response)
  if (request.url === '/-/paid') return say(response, 200, [...paid])
  const known = request.headers['ocp-apim-subscription-key'] === settings.key && request.headers.authorization === basic
  if (!known) say(response, 401, { statusCode: 401, message: 'Access denied due to missing or invalid subscription key.' })
  return known
}
