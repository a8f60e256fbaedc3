// Fastify, undici, pg and fast-jwt, as a careful author would put them together: schemas compiled once, one keep-alive
// agent, prepared statements, one statement for a case's seven rows.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.BENCH_NODE_MODULES + "/");
const Ajv = require("ajv");
const { createVerifier } = require("fast-jwt");
const Fastify = require("fastify");
const pg = require("pg");
const { Agent } = require("undici");

const budgetMs = 500;
const origins = process.env.BENCH_DEPARTMENTS.split(",");
const names = origins.map((_, i) => `bench-${i + 1}`);
const agent = new Agent({ connections: 512, pipelining: 1, keepAliveTimeout: 30_000 });
const url = new URL(process.env.BENCH_DSN.replace("@/", "@socket/"));
const pool = new pg.Pool({ host: url.searchParams.get("host"), port: 5432, user: url.username, database: url.pathname.slice(1), max: 16 });
const verify = createVerifier({
  key: readFileSync(process.env.BENCH_KEY),
  algorithms: ["ES256"],
  allowedIss: "https://id.bench.test",
  allowedAud: "one-stop",
  requiredClaims: ["iss", "aud", "exp", "sub"],
  cache: process.env.BENCH_KEEP_TOKENS === "1",
});

const text = { type: "string" };
const closed = (properties) => ({ type: "object", additionalProperties: false, required: Object.keys(properties), properties });
const fee = closed({ code: text, kind: text, amount_fen: { type: "integer" }, paid: { type: "boolean" } });
const answer = closed({ department: text, receipt: text, state: text, decided_at: text, lines: { type: "array", items: fee }, remark: text });
const part = { type: "object", properties: { department: text, state: text, answer } };
const caseReply = { type: "object", properties: { id: text, complete: { type: "boolean" }, parts: { type: "array", items: part } } };
const newCase = closed({
  item: { type: "string", pattern: "^[a-z0-9-]{3,40}$" },
  submit: { type: "boolean" },
  answers: closed({ note: { type: "string", minLength: 1, maxLength: 500 } }),
});
const meReply = { type: "object", properties: { id: { type: "integer" }, name: text, district: text, assurance: text, updated_at: { type: "string", format: "date-time" } } };
const isAnswer = new Ajv().compile(answer);

const SELECT_CITIZEN = "SELECT id::int, name, district, assurance, updated_at FROM citizens WHERE id = $1";
const INSERT_CASE = `
  WITH opened AS (INSERT INTO cases (id, citizen_id, item, state, answers) VALUES ($1, $2, $3, $4, $5)),
       noted AS (INSERT INTO audit (case_id, actor, action, detail) VALUES ($1, $2, 'case.submit', $6))
  INSERT INTO effects (case_id, department, key, state, answer)
  SELECT $1, e.department, e.key, e.state, e.answer
    FROM unnest($7::text[], $8::text[], $9::text[], $10::jsonb[]) AS e (department, key, state, answer)`;

const app = Fastify({ logger: false, ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } });

async function authenticate(request, reply) {
  const header = request.headers.authorization ?? "";
  try {
    request.citizen = Number(verify(header.startsWith("Bearer ") ? header.slice(7) : "").sub);
  } catch {
    return reply.code(401).send({ error: "invalid token" });
  }
}

async function ask(i, key, citizen, note) {
  try {
    const reply = await agent.request({
      origin: origins[i],
      path: "/applications",
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ serial: key, citizen, note }),
      signal: AbortSignal.timeout(budgetMs),
    });
    const body = await reply.body.json();
    if (reply.statusCode !== 200 || !isAnswer(body)) return { department: names[i], state: "failed" };
    return { department: names[i], state: "ok", answer: body };
  } catch (error) {
    return { department: names[i], state: error.name === "TimeoutError" ? "late" : "failed" };
  }
}

app.get("/ready", async () => ({ ready: true }));

app.get("/me", { preHandler: authenticate, schema: { response: { 200: meReply } } }, async (request, reply) => {
  const found = await pool.query({ name: "citizen", text: SELECT_CITIZEN, values: [request.citizen] });
  return found.rows[0] ?? reply.code(404).send({ error: "no such citizen" });
});

app.post("/cases", { preHandler: authenticate, schema: { body: newCase, response: { 201: caseReply } } }, async (request, reply) => {
  const id = randomUUID();
  const { item, answers } = request.body;
  const keys = names.map((_, i) => `${id}-${i + 1}`);
  const parts = await Promise.all(keys.map((key, i) => ask(i, key, request.citizen, answers.note)));
  const complete = parts.every((p) => p.state === "ok");
  await pool.query({
    name: "case",
    text: INSERT_CASE,
    values: [
      id, request.citizen, item, complete ? "submitted" : "partial", JSON.stringify(answers),
      JSON.stringify({ item, states: parts.map((p) => p.state) }),
      names, keys, parts.map((p) => (p.state === "ok" ? "done" : "unknown")),
      parts.map((p) => (p.answer ? JSON.stringify(p.answer) : null)),
    ],
  });
  reply.code(201);
  return { id, complete, parts };
});

app.get("/pass", async (_, reply) => {
  const got = await agent.request({ origin: origins[0], path: "/records", method: "GET", signal: AbortSignal.timeout(budgetMs) });
  return reply.code(got.statusCode).type("application/json").send(Buffer.from(await got.body.arrayBuffer()));
});

app.get("/events", { preHandler: authenticate }, (request, reply) => {
  reply.hijack();
  reply.raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  reply.raw.write(`data: {"citizen":${request.citizen}}\n\n`);
  const beat = setInterval(() => reply.raw.write(": still here\n\n"), 15_000);
  request.raw.on("close", () => clearInterval(beat));
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.BENCH_PORT), backlog: 2048 });
