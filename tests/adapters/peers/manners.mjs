// What every server here does alike: an access line a request (method, address, status; never a body), JSON in and out.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Load a package of the folder that `install` prints. */
export const load = async (folder, name) => import(pathToFileURL(createRequire(join(folder, 'here.js')).resolve(name)).href)

/** Read a request's body as text. */
export const text = async (request) => {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

/** Answer with JSON. */
export const say = (response, status, value, headers = {}) => {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', ...headers })
  response.end(value === undefined ? '' : JSON.stringify(value))
}

/** Write the access line of a request, once it has ended. */
export const note = (request, response) => {
  response.on('close', () => console.log(request.method, request.url, response.writableEnded ? response.statusCode : 'cut'))
}

/** Serve `answer(request, response)` on a port of 127.0.0.1. */
export const serve = (port, answer) => {
  const server = createServer((request, response) => {
    note(request, response)
    if (answer) Promise.resolve(answer(request, response)).catch((fault) => say(response, 500, { title: String(fault) }))
  })
  server.keepAliveTimeout = 30_000
  server.listen(port, '127.0.0.1')
  return server
}
